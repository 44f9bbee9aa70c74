"""What makes results stale beside data and parameters: libraries and code, by their meaning."""

import json
from collections.abc import Iterator
from pathlib import Path

import grimp
import pytest

from pneumo_core import versions
from pneumo_core.versions import LEARNING, NO_SAY_IN_RESULTS, PIXELS, changes, method_sha256, record

CORE = Path(versions.__file__).parent
MODULES = ("preparation.inventory", "preparation.augmentation", "training.training")


@pytest.fixture
def core(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Two modules of a core, one of which uses the other."""
    folder = tmp_path / "pneumo_core"
    (folder / "a").mkdir(parents=True)
    (folder / "a" / "far.py").write_text('"""A text."""\n\nRATE = 1  # a remark\n')
    (folder / "a" / "near.py").write_text("from pneumo_core.a import far\n\nprint(far.RATE)\n")
    monkeypatch.setattr(versions, "__file__", str(folder / "versions.py"))
    _forget()
    yield folder / "a"
    monkeypatch.undo()
    _forget()


def _forget() -> None:
    versions._parsed.cache_clear()
    versions._code_sha256.cache_clear()


def _sha256() -> str:
    _forget()
    return method_sha256("a.near", PIXELS)


@pytest.mark.parametrize(
    "text",
    ['"""Another text,\nlonger."""\n\nRATE = 1\n', '"""A text."""\nRATE = (\n    1\n)  # remark\n'],
)
def test_comments_docstrings_and_layout_count_for_nothing(core: Path, text: str) -> None:
    before = _sha256()
    (core / "far.py").write_text(text)
    assert _sha256() == before


def test_a_change_in_what_a_module_imports_counts(core: Path) -> None:
    before = _sha256()
    (core / "far.py").write_text("RATE = 2\n")
    assert _sha256() != before


def test_another_version_of_a_library_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    module, installed = "training.training", versions.version
    learning, pixels = method_sha256(module, LEARNING), method_sha256(module, PIXELS)
    monkeypatch.setattr(
        versions, "version", lambda name: "0" if name == "timm" else installed(name)
    )
    assert method_sha256(module, LEARNING) != learning
    assert method_sha256(module, PIXELS) == pixels


@pytest.mark.parametrize("module", MODULES)
def test_the_modules_that_count_are_those_that_are_imported(module: str) -> None:
    """Found by grimp, which reads imports by itself."""
    name = f"pneumo_core.{module}"
    imported = grimp.build_graph("pneumo_core").find_upstream_modules(name) | {name}
    files = {each for each in imported if (CORE.parent / f"{each.replace('.', '/')}.py").is_file()}
    assert set(versions.used_modules(name)) == files - NO_SAY_IN_RESULTS


def test_recorded_versions_are_those_installed(tmp_path: Path) -> None:
    record(tmp_path)
    assert changes(tmp_path) == []
    found = {path.name: json.loads(path.read_text()) for path in tmp_path.iterdir()}
    assert {name: tuple(recorded) for name, recorded in found.items()} == versions.FILES


def test_files_of_the_same_versions_are_left_alone(tmp_path: Path) -> None:
    record(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    record(tmp_path)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before


def test_each_library_that_changed_is_named_once(tmp_path: Path) -> None:
    record(tmp_path)
    for path in tmp_path.iterdir():
        path.write_text(json.dumps(json.loads(path.read_text()) | {"numpy": "1.0"}))
    now = versions.version("numpy")
    assert changes(tmp_path) == [f"numpy 1.0 -> {now}"]
    record(tmp_path)
    assert changes(tmp_path) == []


@pytest.mark.parametrize("content", ["", "[]", "{}"])
def test_a_damaged_file_counts_as_changed(tmp_path: Path, content: str) -> None:
    record(tmp_path)
    (tmp_path / "learning.json").write_text(content)
    assert len(changes(tmp_path)) == len(LEARNING)


def test_a_missing_file_is_no_change(tmp_path: Path) -> None:
    assert changes(tmp_path) == []
