"""Commands that are given nothing that can be read: a sentence, and no exit code of success."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """Six files of each class in train and test, none of which is an image."""
    for split in ("train", "test"):
        for label in ("NORMAL", "PNEUMONIA"):
            folder = tmp_path / "broken" / split / label
            folder.mkdir(parents=True)
            for number in range(6):
                (folder / f"{number}.jpeg").write_text(f"no film {split} {label} {number}")
    return tmp_path / "broken"


@pytest.mark.parametrize("command", ["evaluate", "report", "compare"])
def test_films_of_which_none_can_be_read(
    command: str, broken: Path, small_bundle: Path, typed: Run, tmp_path: Path
) -> None:
    source = ("--source", broken)
    words: tuple[str | Path, ...] = ("--bundle", small_bundle, *source, "--out", tmp_path / "out")
    if command == "compare":
        words = (small_bundle, small_bundle, *source)
    result = typed("pneumo", command, *words, cwd=tmp_path)
    assert result.returncode == 1
    assert result.stderr == (
        "pneumo: None of the 12 files can be used; most often: not an image.\n"
    )
    assert not (tmp_path / "out").exists()


def test_films_that_cannot_be_predicted_are_named(
    broken: Path, small_bundle: Path, typed: Run
) -> None:
    films = broken / "test" / "NORMAL"
    result = typed("pneumo", "predict", "--bundle", small_bundle, films, cwd=broken)
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr.count(": not an image\n") == 6


def test_a_folder_without_files_is_no_prediction(
    broken: Path, small_bundle: Path, typed: Run
) -> None:
    result = typed("pneumo", "predict", "--bundle", small_bundle, broken, cwd=broken)
    assert result.returncode == 1
    assert f"{broken}: there are no files in this folder" in result.stderr


def test_a_certificate_of_no_film_is_not_valid(broken: Path, typed: Run, tmp_path: Path) -> None:
    words = (broken, "--out", tmp_path / "certificate.json")
    result = typed("pneumo", "certificate", *words, cwd=tmp_path)
    assert result.returncode == 3
    assert "Not valid: no readable film in train; no readable film in test" in result.stdout
    assert "not checked: 24 files that cannot be read" in result.stdout
    assert "\n    24: not an image\n" in result.stdout
