import hashlib
import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pneumo_core.data.images import decode
from pneumo_core.errors import SourceError
from pneumo_core.sources import collect, facts
from pneumo_core.sources.facts import RemoteFile
from pneumo_core.sources.source import Source

Describe = Callable[..., Source]


def _arrays(**changes: Any) -> dict[str, Any]:
    draw = np.random.default_rng(0)
    arrays: dict[str, Any] = {}
    for split, count in (("train", 4), ("val", 2), ("test", 3)):
        arrays[f"{split}_images"] = draw.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        arrays[f"{split}_labels"] = np.arange(count, dtype=np.uint8)[:, None] % 2
    return {name: value for name, value in (arrays | changes).items() if value is not None}


def _npz(**changes: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **_arrays(**changes))
    return buffer.getvalue()


@pytest.fixture
def serve(web: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Puts an answer where Zenodo would be, which the facts promise to have these bytes."""

    def put(answer: Any, promised: bytes) -> None:
        md5 = hashlib.md5(promised, usedforsecurity=False).hexdigest()
        remote = RemoteFile(f"{web.url}/pneumoniamnist.npz?download=1", md5)
        monkeypatch.setattr(
            facts, "PNEUMONIAMNIST", replace(facts.PNEUMONIAMNIST, files={28: remote})
        )
        web.answers["/pneumoniamnist.npz"] = answer

    return put


def test_rows_come_as_the_pixels_that_they_are(
    serve: Callable[..., None], web: Any, open_description: Describe
) -> None:
    serve(_npz(), promised=_npz())
    source = open_description(kind="medmnist", size_px=28)
    files = source.files()
    assert [file.place for file in files] == [
        *("test/NORMAL/test-00000.png", "test/NORMAL/test-00002.png"),
        *("test/PNEUMONIA/test-00001.png", "train/NORMAL/train-00000.png"),
        *("train/NORMAL/train-00002.png", "train/PNEUMONIA/train-00001.png"),
        *("train/PNEUMONIA/train-00003.png", "val/NORMAL/val-00000.png"),
        "val/PNEUMONIA/val-00001.png",
    ]
    film = decode(files[1].read(), max_pixels=1000)
    assert np.array_equal(film.pixels, _arrays()["test_images"][2])
    assert {file.origin for file in files} == {"medmnist"}
    assert {collect.describe(file)["patient_rule"] for file in files} == {"unknown"}
    assert source.files()[0].read() == files[0].read()
    assert web.asked == ["/pneumoniamnist.npz"]  # once


def test_other_bytes_than_promised_are_refused_and_not_kept(
    tmp_path: Path, serve: Callable[..., None], open_description: Describe
) -> None:
    serve(_npz() + b"?", promised=_npz())
    with pytest.raises(SourceError, match=r"MD5 .*expected") as raised:
        open_description(kind="medmnist", size_px=28).files()
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    for message in (facts.PNEUMONIAMNIST.page, "path:", "--set ingest.source="):
        assert message in str(raised.value)


def test_damaged_cache_is_fetched_again(
    tmp_path: Path, serve: Callable[..., None], open_description: Describe
) -> None:
    serve(_npz(), promised=_npz())
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "pneumoniamnist_28.npz").write_bytes(_npz()[:100])
    assert len(open_description(kind="medmnist", size_px=28).files()) == 9


@pytest.mark.parametrize(
    "answer",
    [(404, {}, b"gone"), (200, {"Content-Length": "99999", "Connection": "close"}, b"half")],
    ids=["missing", "cut short"],
)
def test_no_whole_answer_says_what_to_do(
    serve: Callable[..., None], open_description: Describe, answer: Any
) -> None:
    serve(answer, promised=_npz())
    with pytest.raises(SourceError, match="By hand: open"):
        open_description(kind="medmnist", size_px=28).files()


def test_file_that_is_here_is_taken(tmp_path: Path, open_description: Describe) -> None:
    (tmp_path / "mine.npz").write_bytes(_npz())
    assert len(open_description(kind="medmnist", path="mine.npz").files()) == 9


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"val_images": None}, "val_images"),
        ({"train_images": np.zeros((4, 28, 28, 3), np.uint8)}, r"\[4, 28, 28, 3\]"),
        ({"train_images": np.zeros((4, 28, 28), np.float32)}, "float32"),
        ({"train_labels": np.zeros((3, 1), np.uint8)}, "for 3 labels"),
        ({"train_labels": np.full((4, 1), 2, np.uint8)}, "not an .npz of PneumoniaMNIST"),
        ({"train_images": np.array([{}, {}, {}, {}])}, "allow_pickle"),
    ],
)
def test_arrays_of_something_else_are_one_clear_error(
    tmp_path: Path, open_description: Describe, changes: dict[str, Any], message: str
) -> None:
    (tmp_path / "mine.npz").write_bytes(_npz(**changes))
    with pytest.raises(SourceError, match=message):
        open_description(kind="medmnist", path="mine.npz").files()


@pytest.mark.parametrize("data", [b"", b"no zip", _npz()[:200]])
def test_damaged_file_is_one_clear_error(
    tmp_path: Path, open_description: Describe, data: bytes
) -> None:
    (tmp_path / "mine.npz").write_bytes(data)
    with pytest.raises(SourceError, match=r"mine\.npz is not an \.npz of PneumoniaMNIST"):
        open_description(kind="medmnist", path="mine.npz").files()
