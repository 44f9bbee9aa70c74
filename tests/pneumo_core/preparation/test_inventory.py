import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pneumo_core.arrays import Gray
from pneumo_core.data import manifest
from pneumo_core.params import ValidateParams
from pneumo_core.preparation import inventory
from pneumo_core.preparation.inventory import take_inventory

PARAMS = ValidateParams(image_size_px=32)

Film = Callable[..., Gray]


class Shelf:
    """Files by path, and which of them were read."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.was_read: list[str] = []

    def read(self, path: str) -> bytes:
        self.was_read.append(path)
        return self.files[path]

    def table(self) -> pd.DataFrame:
        rows = [
            {"image_id": path, "path": path, "sha256": hashlib.sha256(data).hexdigest()}
            for path, data in sorted(self.files.items())
        ]
        return manifest.conform(
            pd.DataFrame(rows).assign(
                **dict.fromkeys(("origin", "split", "source_split", "label"), "train"),
                **dict.fromkeys(("patient_key", "patient_group", "patient_rule"), "p"),
                state=manifest.KEPT,
                file_bytes=1,
            )
        )


@pytest.fixture
def shelf(film: Film, encode: Callable[..., bytes]) -> Shelf:
    files = {f"{i:02}.png": encode(film(i)) for i in range(20)}
    return Shelf(files | {"07.png": b"a note", "11.png": encode(film(3), "JPEG", quality=90)})


def test_films_are_measured_packed_and_bad_ones_quarantined(shelf: Shelf, tmp_path: Path) -> None:
    looked, images = take_inventory(shelf.table(), shelf.read, PARAMS, tmp_path)
    bad = looked[looked["state"] == manifest.QUARANTINED]
    assert bad[["image_id", "reason"]].values.tolist() == [["07.png", "not an image"]]
    kept = manifest.kept(looked).set_index("image_id")
    assert kept["packed_row"].tolist() == list(range(19))
    assert kept.loc["11.png", ["jpeg_quality", "colour_mode", "width_px"]].tolist() == [90, "L", 64]
    assert kept["jpeg_quality"].isna().sum() == 18
    np.testing.assert_array_equal(
        images[2], inventory.decode(shelf.files["02.png"], 10**6).squared(32)
    )


def test_a_second_look_reads_only_what_is_new(
    shelf: Shelf, tmp_path: Path, film: Film, encode: Callable[..., bytes]
) -> None:
    take_inventory(shelf.table(), shelf.read, PARAMS, tmp_path / "grown")
    shelf.files |= {"05b.png": encode(film(55)), "02.png": encode(film(22))}
    shelf.was_read.clear()
    grown, images = take_inventory(shelf.table(), shelf.read, PARAMS, tmp_path / "grown")
    assert sorted(shelf.was_read) == ["02.png", "05b.png", "07.png"]  # the bad one again
    fresh, from_new = take_inventory(shelf.table(), shelf.read, PARAMS, tmp_path / "fresh")
    pd.testing.assert_frame_equal(grown, fresh)
    np.testing.assert_array_equal(images[:], from_new[:])


@pytest.mark.parametrize("change", [{"image_size_px": 40}, {"min_side_px": 8}, "code"])
def test_another_rule_looks_at_everything_again(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, int] | str
) -> None:
    take_inventory(shelf.table(), shelf.read, PARAMS, tmp_path)
    shelf.was_read.clear()
    params = PARAMS
    if isinstance(change, str):
        monkeypatch.setattr(inventory, "method_sha256", lambda *_: "other code")
    else:
        params = PARAMS.model_copy(update=change)
    take_inventory(shelf.table(), shelf.read, params, tmp_path)
    assert len(shelf.was_read) == len(shelf.files)
