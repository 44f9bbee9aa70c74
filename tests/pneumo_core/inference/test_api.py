"""The five functions for a notebook: as README shows them, and what they refuse."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import pneumo_core
from pneumo_core.errors import EvaluationError
from pneumo_core.sources.phantom import PhantomParams, PhantomSource, PhantomSplit

README = Path(__file__).parents[3] / "README.md"


@pytest.fixture
def notebook(small_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what README's example names: a bundle, a film, labelled films, a CSV."""
    shutil.copytree(small_bundle, tmp_path / "results/evaluate/cells/NAME/bundle")
    few, test = PhantomSplit(NORMAL=2, PNEUMONIA=2), PhantomSplit(NORMAL=8, PNEUMONIA=8)
    params = PhantomParams(kind="phantom", seed=1, train=few, val=few, test=test)
    for file in PhantomSource(params).files():
        path = tmp_path / "PATH" / file.place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.read())
    shutil.copy(path, tmp_path / "film.jpeg")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_readme_runs(notebook: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = notebook / "results/evaluate/cells/NAME/bundle"
    model = pneumo_core.load_model(bundle, "screening")
    other = pneumo_core.evaluate(model, "PATH", out=notebook / "other")
    shutil.copy(notebook / "other" / "predictions.csv", notebook / "other.csv")
    section = README.read_text("utf-8").partition("## From Python")[2]
    (example,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    exec(example, {})
    film, auroc, pairs, valid = capsys.readouterr().out.splitlines()
    assert "'path': 'film.jpeg'" in film
    assert auroc == str(other["auroc"])
    assert "'auroc'" in pairs
    assert valid in ("True", "False")
    assert set(re.findall(r"pneumo\.(\w+)", example)) == set(pneumo_core.__all__)


def test_every_film_has_an_entry(notebook: Path) -> None:
    (notebook / "broken.jpeg").write_bytes(b"no film")
    model = pneumo_core.load_model("results/evaluate/cells/NAME/bundle")
    found = pneumo_core.predict(model, ["PATH/test/NORMAL", "broken.jpeg", "missing.jpeg"])
    assert len(found) == 8 + 2
    assert ["error" in each for each in found[-2:]] == [True, True]


def test_a_bundle_is_compared_on_films(notebook: Path) -> None:
    bundle = notebook / "results/evaluate/cells/NAME/bundle"
    with pytest.raises(EvaluationError, match="is a bundle"):
        pneumo_core.compare(bundle, bundle)
    (pair,) = pneumo_core.compare(bundle, bundle, "PATH")["pairs"]
    assert pair["auroc"]["value"] == 0


def test_importing_the_package_loads_no_heavy_library() -> None:
    code = (
        "import sys, pneumo_core; assert 'compare' in pneumo_core.__all__\n"
        "assert not {'torch', 'numpy', 'pandas'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        pneumo_core.nothing  # noqa: B018
