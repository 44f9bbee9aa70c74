"""Films that come in without a label."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pneumo_core.errors import SourceError
from pneumo_core.sources.unlabelled import LABEL, UnlabelledFolder, holds_labelled_films


def test_every_file_is_a_film_but_litter(tmp_path: Path, write_tree: Callable[..., Path]) -> None:
    root = write_tree(tmp_path / "in", {"b.png": b"1", "ward/a.png": b"22", "Thumbs.db": b"3"})
    files = UnlabelledFolder(root).files()
    assert [(file.name, file.num_bytes, file.label) for file in files] == [
        ("b.png", 1, LABEL),
        ("ward/a.png", 2, LABEL),
    ]
    assert files[1].read() == b"22"
    assert not holds_labelled_films(root)


def test_labelled_films_are_noticed_and_an_empty_folder_is_an_error(
    tmp_path: Path, write_tree: Callable[..., Path]
) -> None:
    assert holds_labelled_films(write_tree(tmp_path / "in", {"train/NORMAL/a.png": b"1"}))
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="No files in"):
        UnlabelledFolder(tmp_path / "empty").files()
