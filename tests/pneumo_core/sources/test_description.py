import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from pneumo_core.errors import SourceError
from pneumo_core.params import IngestParams
from pneumo_core.sources import facts
from pneumo_core.sources.description import Opening, parse
from pneumo_core.sources.opening import KINDS, open_source
from pneumo_core.sources.source import Source
from tasks.stores.sources import MORE_KINDS

ROOT = Path(__file__).parents[3]
EXAMPLES = {path.stem: path for path in sorted((ROOT / "sources").glob("*.yaml"))}
PUBLIC_SETS = {
    *("nih", "chexpert", "mimic", "rsna", "vindr_pcxr", "padchest", "covidx", "coronahack"),
}
EXPLAINING = {name: path for name, path in EXAMPLES.items() if name not in PUBLIC_SETS}
ALL_KINDS = {**KINDS, **MORE_KINDS}

Describe = Callable[..., Source]


@pytest.mark.parametrize("path", EXAMPLES.values(), ids=EXAMPLES)
def test_every_example_is_a_good_description(path: Path) -> None:
    content = yaml.safe_load(path.read_text("utf-8"))
    parse(ALL_KINDS[content["kind"]], content, str(path))


@pytest.mark.parametrize("path", EXPLAINING.values(), ids=EXPLAINING)
def test_every_example_explains_its_keys(path: Path) -> None:
    content = yaml.safe_load(path.read_text("utf-8"))
    text = path.read_text("utf-8")
    assert text.startswith("# ")
    for key in ALL_KINDS[content["kind"]].model_fields:
        assert f"{key}:" in text, f"{path.name} says nothing of {key}"


def test_there_is_an_example_of_every_kind() -> None:
    kinds = {yaml.safe_load(path.read_text("utf-8"))["kind"] for path in EXAMPLES.values()}
    assert kinds == set(ALL_KINDS)


def test_examples_name_what_the_facts_know() -> None:
    kaggle, hub = (
        yaml.safe_load(EXAMPLES[name].read_text("utf-8")) for name in ("kaggle", "huggingface")
    )
    assert kaggle["dataset"] == facts.KERMANY_KAGGLE.handle
    assert str(kaggle["version"]) == facts.KERMANY_KAGGLE.version
    assert hub["repo"] == facts.KERMANY_HUGGING_FACE.handle


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "kind None, expected one of dicom, huggingface"),
        ("kind: dicon", "kind 'dicon', expected one of dicom"),
        ("kind: [a]", r"kind \['a'\], expected"),
        ("- a list", "kind None"),
        ("kind: {", "is not YAML"),
        ("kind: table", "path: Field required"),
        ("kind: table\npath: a.csv\nlabel: x", "label: Extra inputs are not permitted"),
        ("kind: medmnist\nsize_px: 30", "size_px: Input should be 28, 64, 128 or 224"),
        ("kind: s3\nbucket: b", "kind 's3', expected"),  # the core has no boto3
    ],
)
def test_bad_description_is_one_clear_error(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "description.yaml"
    path.write_text(content)
    with pytest.raises(SourceError, match=message) as raised:
        open_source(IngestParams(source=str(path)))
    assert "description.yaml" in str(raised.value)


def test_bytes_that_are_no_text_are_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"kind: \xff\xfe")
    with pytest.raises(SourceError, match=r"a\.yaml is not YAML"):
        open_source(IngestParams(source=str(tmp_path / "a.yaml")))


def test_paths_are_relative_to_the_description(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, open_description: Describe
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.png").touch()
    (tmp_path / "data" / "labels.csv").write_text("path,label\na.png,NORMAL\n")
    monkeypatch.chdir("/")
    assert [file.place for file in open_description(kind="table", path="data/labels.csv").files()]


def test_a_kind_of_the_callers_can_be_opened(tmp_path: Path) -> None:
    path = tmp_path / "films.yaml"
    path.write_text("kind: s3\nbucket: films\nprefix: chest/\n")
    source: Any = open_source(IngestParams(source=str(path)), MORE_KINDS)
    assert source.source.address == "s3://films/chest/"


def test_opening_loads_no_client_of_any_kind() -> None:
    heavy = "pydicom", "kagglehub", "huggingface_hub", "boto3", "torch"
    code = f"import sys, tasks.stores.sources; print([m for m in {heavy!r} if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_home_is_expanded_in_descriptions(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    opening = Opening(IngestParams(source="x"), KINDS, tmp_path, folder=Path("sources"))
    assert opening.path("~/films") == tmp_path / "films"
    assert opening.path("films") == Path("sources/films")
