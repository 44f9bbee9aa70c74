import hashlib
import os
from pathlib import Path

import numpy as np
import pytest

from pneumo_core.arrays import Images
from pneumo_core.data import packed
from pneumo_core.data.packed import INDEX, MAX_SHARD_ROWS, PackedImages, packing
from pneumo_core.errors import DataError

SIZE = 8


def _key(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def _picture(number: int) -> Images:
    return np.random.default_rng(number).integers(0, 256, (SIZE, SIZE), dtype=np.uint8)


def _pack(folder: Path, numbers: list[int], rule: str = "r") -> PackedImages:
    with packing(folder, SIZE, rule) as packer:
        for number in numbers:
            packer.add(_key(number), _picture(number), {"number": number})
    return PackedImages.open(folder)


def _bytes(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_rows_come_back_however_they_are_asked_for(tmp_path: Path) -> None:
    packed = _pack(tmp_path, list(range(700)))
    array = np.stack([_picture(number) for number in range(700)])
    rows = np.random.default_rng(0).integers(0, 700, 50)
    assert len(packed.shards) > 3
    assert packed.shape == array.shape
    np.testing.assert_array_equal(packed[3], array[3])
    np.testing.assert_array_equal(packed[rows], array[rows])
    np.testing.assert_array_equal(packed[100:600], array[100:600])
    np.testing.assert_array_equal(packed[rows[0] : rows[0]], array[:0])
    assert packed.notes[699] == {"number": 699}


def test_nothing_packed_is_nothing_to_read(tmp_path: Path) -> None:
    packed = _pack(tmp_path, [])
    assert packed.shape == (0, SIZE, SIZE)
    assert len(packed[:]) == 0


def test_a_shard_has_a_largest_size(tmp_path: Path) -> None:
    with packing(tmp_path, SIZE, "r") as packer:
        for number in range(MAX_SHARD_ROWS + 1):
            packer.add("00000001", _picture(number))  # no key says that a shard ends
    assert [rows for _, rows, _ in PackedImages.open(tmp_path).shards] == [MAX_SHARD_ROWS, 1]


def test_the_same_rows_give_the_same_files_whatever_was_there(tmp_path: Path) -> None:
    _pack(tmp_path / "new", list(range(400)))
    _pack(tmp_path / "grown", [*range(100, 300), *range(900, 950)])
    _pack(tmp_path / "grown", list(range(400)))
    assert _bytes(tmp_path / "new") == _bytes(tmp_path / "grown")


def test_one_row_more_changes_one_shard(tmp_path: Path) -> None:
    before = {name for name, _, _ in _pack(tmp_path, list(range(2000))).shards}
    after = _pack(tmp_path, [*range(1000), 5000, *range(1000, 2000)])
    assert len({name for name, _, _ in after.shards} - before) == 1
    np.testing.assert_array_equal(after[1000], _picture(5000))


def test_unchanged_shards_are_not_written(tmp_path: Path) -> None:
    _pack(tmp_path, list(range(500)))
    stamps = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.npy")}
    os.utime(tmp_path / INDEX, (0, 0))
    _pack(tmp_path, list(range(500)))
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.npy")} == stamps


def test_known_rows_need_no_pixels_if_the_rule_is_the_same(tmp_path: Path) -> None:
    _pack(tmp_path, [1, 2, 3])
    with packing(tmp_path, SIZE, "r") as packer:
        assert not packer.knows(_key(4))
        assert packer.knows(_key(2))
        assert packer.note_of(_key(2)) == {"number": 2}
        packer.add(_key(9), _picture(9))
        packer.add(_key(2), None, "again")
    packed = PackedImages.open(tmp_path)
    np.testing.assert_array_equal(packed[:], np.stack([_picture(9), _picture(2)]))
    assert packed.notes == (None, "again")
    with packing(tmp_path, SIZE, "another") as packer:
        assert not packer.knows(_key(2))


def test_damaged_shards_are_made_again(tmp_path: Path) -> None:
    packed = _pack(tmp_path, list(range(300)))
    whole = _bytes(tmp_path)
    damaged = tmp_path / packed.shards[0][0]
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"?")
    with packing(tmp_path, SIZE, "r") as packer:
        assert not packer.knows(_key(0))
        assert packer.knows(_key(299))
        for number in range(300):
            packer.add(_key(number), _picture(number), {"number": number})
    assert _bytes(tmp_path) == whole


def test_damaged_shard_is_not_read(tmp_path: Path) -> None:
    packed = _pack(tmp_path, list(range(300)))
    damaged = tmp_path / packed.shards[0][0]
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"?")
    opened = PackedImages.open(tmp_path)
    for rows in (0, slice(None), [0, 299]):
        with pytest.raises(DataError, match=f"{damaged.name} is not what was written"):
            opened[rows]
    assert opened[299].shape == (SIZE, SIZE)


def test_a_run_that_dies_leaves_what_was_there_readable(tmp_path: Path) -> None:
    _pack(tmp_path, list(range(300)))

    def die() -> None:
        with packing(tmp_path, SIZE, "r") as packer:
            for number in range(300, 700):
                packer.add(_key(number), _picture(number))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        die()
    packed = PackedImages.open(tmp_path)
    np.testing.assert_array_equal(packed[:], np.stack([_picture(n) for n in range(300)]))
    assert len(list(tmp_path.iterdir())) > len(packed.shards) + 1  # what the dead run had written
    _pack(tmp_path, [1])
    assert len(list(tmp_path.iterdir())) == 2


def test_a_folder_without_an_index_says_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No packed images"):
        PackedImages.open(tmp_path)


def test_few_shards_stay_open_however_the_rows_are_asked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(packed, "MAX_SHARD_ROWS", 2)
    monkeypatch.setattr(packed, "MAX_MAPS", 3)
    opened = _pack(tmp_path, list(range(40)))
    assert len(opened.shards) > 6
    films = np.stack([_picture(number) for number in range(40)])
    order = np.random.default_rng(1).permutation(40)
    np.testing.assert_array_equal(opened[order], films[order])
    np.testing.assert_array_equal(np.stack([opened[row] for row in range(40)]), films)
    assert len(opened._maps) == 3
