"""The hub's own client against a loopback server that speaks enough of its protocol."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pneumo_core.errors import SourceError
from pneumo_core.params import IngestParams
from pneumo_core.sources import collect, facts
from pneumo_core.sources.opening import open_source
from pneumo_core.sources.patient_rules import name_patients
from pneumo_core.sources.source import Source, SourceFile

pytestmark = pytest.mark.slow

Describe = Callable[..., Source]

FEATURES = {
    "image": {"_type": "Image"},
    "label": {"names": ["NORMAL", "PNEUMONIA"], "_type": "ClassLabel"},
}
COMMIT = "0123456789abcdef0123456789abcdef01234567"
REPO = facts.KERMANY_HUGGING_FACE.handle


def _row(path: str | None, data: bytes | None) -> dict[str, Any]:
    return {"bytes": data, "path": path}


def _write(path: Path, images: list[Any], labels: list[Any], features: Any = FEATURES) -> Path:
    """As the package `datasets` writes it, in small row groups."""
    table = pa.table({"image": images, "label": labels})
    if features is not None:
        noted = json.dumps({"info": {"features": features}})
        table = table.replace_schema_metadata({"huggingface": noted})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, row_group_size=2)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "hub"
    names = ["person3_virus_9.jpeg", "IM-0001-0001.jpeg", None, "IM-0001-0001.jpeg", "x/../e.png"]
    images = [_row(name, f"film {i}".encode()) for i, name in enumerate(names)]
    _write(root / "data/train-00000-of-00002.parquet", images, [1, 0, 0, 0, 1])
    second = [_row("IM-0001-0001.jpeg", b"other"), _row("empty.png", None)]
    _write(root / "data/train-00001-of-00002.parquet", second, [0, 1])
    _write(root / "data/validation-00000-of-00001.parquet", [_row("a.png", b"v")], [0])
    both = [_row("a.png", b"n"), _row("a.png", b"p")]
    _write(root / "data/test-00000-of-00001.parquet", both, [0, 1])
    return root


EMPTY = "row 1 of the Parquet file holds no image"
EXPECTED = {
    "test/NORMAL/a.png": b"n",
    "test/PNEUMONIA/a.png": b"p",
    "train/NORMAL/IM-0001-0001-001-00003.jpeg": b"film 3",
    "train/NORMAL/IM-0001-0001-002-00000.jpeg": b"other",
    "train/NORMAL/IM-0001-0001.jpeg": b"film 1",
    "train/NORMAL/row-001-00002": b"film 2",
    "train/PNEUMONIA/e.png": b"film 4",
    "train/PNEUMONIA/empty.png": EMPTY,
    "train/PNEUMONIA/person3_virus_9.jpeg": b"film 0",
    "val/NORMAL/a.png": b"v",
}


def _read(files: list[SourceFile]) -> dict[str, bytes | str]:
    """Bytes by image id, or why there are none."""
    found: dict[str, bytes | str] = {}
    for file in files:
        try:
            found[file.place] = file.read()
        except OSError as error:
            found[file.place] = str(error)
    return found


def test_every_row_comes_once_under_a_name_of_its_own(
    folder: Path, open_description: Describe
) -> None:
    assert folder.is_dir()
    files = open_description(kind="huggingface", path="hub").files()
    files = name_patients(files, "kermany")
    assert _read(files) == EXPECTED
    assert [file.place for file in files] == sorted(EXPECTED)
    sizes = {i: 0 if found == EMPTY else len(found) for i, found in EXPECTED.items()}
    assert {file.place: file.num_bytes for file in files} == sizes
    assert {file.origin for file in files} == {"huggingface"}
    patients = {collect.describe(file)["patient"] for file in files if "IM-" in file.name}
    assert patients == {"IM-0001"}
    assert _read(open_description(kind="huggingface", path="hub").files()) == EXPECTED  # cached


@pytest.mark.parametrize("name", ["train/0000.parquet", "train.parquet", "VALID_1.parquet"])
def test_split_is_told_by_file_or_folder(
    tmp_path: Path, open_description: Describe, name: str
) -> None:
    _write(tmp_path / "hub" / name, [_row("a.png", b"x")], [1])
    (file,) = open_description(kind="huggingface", path="hub").files()
    assert file.split == ("val" if "VALID" in name else "train")


def test_label_names_are_read_in_any_case_or_given(
    tmp_path: Path, open_description: Describe
) -> None:
    images = [_row("a.png", b"x"), _row("b.png", b"y"), _row("c.png", b"z")]
    other = {"label": {"names": ["healthy", "viral", "bacterial"], "_type": "ClassLabel"}}
    _write(tmp_path / "hub/train.parquet", images, [0, 1, 2], other)
    with pytest.raises(SourceError, match=r"train\.parquet, row 0: label 'healthy', expected"):
        open_description(kind="huggingface", path="hub").files()
    given = ["Normal", "pneumonia", "PNEUMONIA"]
    files = open_description(kind="huggingface", path="hub", labels=given).files()
    assert [file.label for file in files] == ["NORMAL", "PNEUMONIA", "PNEUMONIA"]
    _write(tmp_path / "hub/train.parquet", images, ["normal", "Pneumonia", "NORMAL"], None)
    files = open_description(kind="huggingface", path="hub").files()
    assert [file.label for file in files] == ["NORMAL", "NORMAL", "PNEUMONIA"]


@pytest.mark.parametrize(
    ("images", "labels", "features", "message"),
    [
        ([_row("a", b"x")], [0], None, r"label 0 has no name .* labels: \[NORMAL, PNEUMONIA\]"),
        ([_row("a", b"x")], [2], FEATURES, "row 0: label '2'"),
        ([_row("a", b"x")], [-1], FEATURES, "row 0: label '-1'"),
        ([b"x"], [0], FEATURES, "column image is not a struct of bytes and path"),
    ],
)
def test_rows_of_something_else_are_one_clear_error(
    tmp_path: Path,
    open_description: Describe,
    images: Any,
    labels: Any,
    features: Any,
    message: str,
) -> None:
    _write(tmp_path / "hub/train.parquet", images, labels, features)
    with pytest.raises(SourceError, match=message):
        open_description(kind="huggingface", path="hub").files()


def test_other_columns_are_one_clear_error(tmp_path: Path, open_description: Describe) -> None:
    (tmp_path / "hub").mkdir()
    pq.write_table(
        pa.table({"image": [_row("a", b"x")], "finding": [1]}), tmp_path / "hub/test.parquet"
    )
    with pytest.raises(SourceError, match=r"has the columns image, finding: expected 'label'"):
        open_description(kind="huggingface", path="hub").files()


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"train.parquet": b"PAR1 and no more"}, r"train\.parquet cannot be read as a Parquet"),
        ({"notes.txt": b""}, "No Parquet files in"),
    ],
)
def test_no_parquet_is_one_clear_error(
    tmp_path: Path, open_description: Describe, write_tree: Any, files: Any, message: str
) -> None:
    write_tree(tmp_path / "hub", files)
    with pytest.raises(SourceError, match=message):
        open_description(kind="huggingface", path="hub").files()


def test_unknown_split_names_the_file(tmp_path: Path, open_description: Describe) -> None:
    _write(tmp_path / "hub/extra-0.parquet", [_row("a.png", b"x")], [1])
    with pytest.raises(SourceError, match=r"extra-0\.parquet: split 'extra-0'"):
        open_description(kind="huggingface", path="hub").files()


def test_folder_and_repo_exclude_each_other(open_description: Describe) -> None:
    with pytest.raises(SourceError, match="give either path, or repo and revision"):
        open_description(kind="huggingface", path="hub", repo="a/b")


def _serve_hub(web: Any, folder: Path) -> None:
    entries = []
    for path in [*sorted(folder.rglob("*.parquet")), folder / "README.md"]:
        path.touch()
        data, name = path.read_bytes(), path.relative_to(folder).as_posix()
        sha = hashlib.sha256(data).hexdigest()
        entries.append({"type": "file", "path": name, "size": len(data), "oid": sha[:40]})
        headers = {"ETag": f'"{sha}"', "X-Repo-Commit": COMMIT}
        web.answers[f"/datasets/{REPO}/resolve/{COMMIT}/{name}"] = 200, headers, data
    as_json = {"Content-Type": "application/json"}
    info = json.dumps({"id": REPO, "sha": COMMIT}).encode()
    web.answers[f"/api/datasets/{REPO}/revision/main"] = 200, as_json, info
    tree = json.dumps(entries).encode()
    web.answers[f"/api/datasets/{REPO}/tree/{COMMIT}"] = 200, as_json, tree


@pytest.fixture
def ingest(
    web: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Opens the source as a process that believes that the loopback server is the hub."""
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setenv("HF_ENDPOINT", web.url)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")
    code = (
        "import sys; from pathlib import Path; from pneumo_core import params as p;"
        "from pneumo_core.sources import opening as s;"
        "from pneumo_core.errors import PneumoError\n"
        "try: files = s.open_source(p.IngestParams(source='hub.yaml'), cache=Path('c')).files()\n"
        "except PneumoError as error: sys.exit(f'refused: {error}')\n"
        "for file in files: print(file.place, file.data_set and file.data_set.handle)"
    )

    def run(text: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "hub.yaml").write_text(text)
        return subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
        )

    return run


def test_parquet_files_of_the_hub_are_fetched_once(
    web: Any, folder: Path, ingest: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    _serve_hub(web, folder)
    result = ingest("kind: huggingface\n")
    assert result.stdout.split("\n")[:-1] == [f"{i} {REPO}" for i in sorted(EXPECTED)], (
        result.stderr
    )
    fetched = [path for path in web.asked if path.endswith(".parquet")]
    assert len(set(fetched)) == 4
    assert not [path for path in web.asked if path.endswith("README.md")]
    web.asked.clear()
    assert ingest(f"kind: huggingface\nrevision: {COMMIT}\n").returncode == 0
    assert not [path for path in web.asked if path.endswith(".parquet")]


@pytest.mark.parametrize("status", [401, 404, None])
def test_refusal_says_what_to_do_by_hand(
    web: Any,
    ingest: Callable[..., subprocess.CompletedProcess[str]],
    monkeypatch: pytest.MonkeyPatch,
    status: int | None,
) -> None:
    if status is None:
        monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    else:
        web.answers[f"/api/datasets/{REPO}/revision/main"] = status, {}, b"no"
    result = ingest("kind: huggingface\n")
    assert result.returncode == 1
    assert "refused: Hugging Face did not give" in result.stderr
    assert f"By hand: open {facts.KERMANY_HUGGING_FACE.page}/tree/main" in result.stderr
    assert "--set ingest.source=" in result.stderr


def test_offline_says_what_to_do_by_hand(
    ingest: Callable[..., subprocess.CompletedProcess[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert "By hand: open" in ingest("kind: huggingface\n").stderr


def test_asked_columns_and_mapped_labels_are_read(tmp_path: Path) -> None:
    (tmp_path / "hub").mkdir()
    images = [_row("a.png", b"x"), _row("b.png", b"y")]
    table = pa.table({"image": images, "label": [1, 0], "Age": [58, None], "note": ["x", "y"]})
    pq.write_table(table, tmp_path / "hub/train.parquet")
    description = tmp_path / "hub.yaml"
    description.write_text("kind: huggingface\npath: hub\n")
    labels = {"PNEUMONIA": [1], "NORMAL": [0]}
    params = IngestParams(source=str(description), labels=labels)
    normal, pneumonia = open_source(params, cache=tmp_path / "cache").files()
    assert (normal.place, normal.metadata) == ("train/NORMAL/b.png", {})
    assert (pneumonia.place, pneumonia.metadata) == ("train/PNEUMONIA/a.png", {"age": "58"})
