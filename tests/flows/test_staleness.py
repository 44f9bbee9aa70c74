"""A finished project is stale by what its code and libraries mean, not by remarks in them."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from pneumo_core import versions
from tasks.graph.dvc_graph import stale_stages

# On reading DVC's graph: a deprecation between two of its own libraries
pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning")

CELL = "train@tf_efficientnet_lite0-frozen"
REMARKS = {
    "pneumo_core/templates/report.md.j2": "{# a remark #}",
    "pneumo_core/preparation/certificate.py": "# a remark\n",
    "pneumo_core/preparation/recipes.py": "# a remark\n",
    "pneumo_core/preparation/variants.py": "# a remark\n",
}


@pytest.fixture
def project(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy to change, entered, in which nothing is stale."""
    copied = tmp_path / "project"
    shutil.copytree(trained, copied, symlinks=True)
    monkeypatch.chdir(copied)
    assert stale_stages() == {}
    return copied


@pytest.fixture
def pretend(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Makes it look as if another version of a library were installed."""

    def install(library: str) -> None:
        installed = versions.version
        monkeypatch.setattr(
            versions, "version", lambda name: "0" if name == library else installed(name)
        )

    return install


def _append(file: Path, text: str) -> None:
    with file.open("a") as opened:
        opened.write(text)


def test_remarks_before_training_leave_every_cell_fresh(
    project: Path, environment: dict[str, str]
) -> None:
    for file, remark in REMARKS.items():
        _append(project / file, remark)
    assert {"dedup", "split", "augment"} <= stale_stages().keys()
    subprocess.run(
        ["dvc", "repro", "--quiet", "augment"],
        cwd=project,
        env=environment | {"PYTHONPATH": str(project)},
        check=True,
    )
    assert CELL not in stale_stages()


def test_a_change_in_the_code_of_training_makes_its_cells_stale(project: Path) -> None:
    _append(project / "pneumo_core" / "training" / "steps.py", "# a remark\n")
    assert CELL in stale_stages()


@pytest.mark.usefixtures("project")
def test_another_timm_makes_the_cells_stale_and_no_films(pretend: Callable[[str], None]) -> None:
    pretend("timm")
    assert stale_stages().keys() & {"augment", CELL} == {CELL}


@pytest.mark.usefixtures("project")
def test_another_pillow_makes_the_films_stale(pretend: Callable[[str], None]) -> None:
    pretend("pillow")
    assert stale_stages().keys() >= {"validate", "dedup", "augment", CELL}


def test_compiled_code_makes_nothing_stale(project: Path) -> None:
    compiled = project / "pneumo_core" / "training" / "__pycache__"
    compiled.mkdir()
    (compiled / "steps.cpython-311.pyc").write_bytes(b"compiled")
    assert stale_stages() == {}
