"""Names of a stranger's archive, which reach terminals, logs and pages."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pneumo_core.errors import SourceError
from pneumo_core.params import IngestParams
from pneumo_core.sources.names import safe, safely_named
from pneumo_core.sources.opening import open_source
from pneumo_core.sources.source import SourceFile


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("person1_virus_2.jpeg", "person1_virus_2.jpeg"),
        ("환자 3 (copy), é.png", "환자 3 (copy), é.png"),
        ("\x1b[2J.png", "\\x1b[2J.png"),
        ("a\n2026-01-01 INFO all is well.png", "a\\x0a2026-01-01 INFO all is well.png"),
        ("<img src=x onerror=alert(1)>.png", "\\x3cimg src=x onerror=alert(1)\\x3e.png"),
        ("gnp.\u202eevil", "gnp.\\u202eevil"),
    ],
)
def test_only_what_could_act_is_escaped(name: str, expected: str) -> None:
    assert safe(name) == expected


def test_files_of_a_zip_have_safe_names(
    tmp_path: Path, write_zip: Callable[[Path, dict[str, bytes]], Path]
) -> None:
    name = "train/NORMAL/\x1b]0;owned\x07<b>.png"
    path = write_zip(tmp_path / "films.zip", {name: b"film"})
    (file,) = open_source(IngestParams(source=str(path))).files()
    assert file.place == "train/NORMAL/\\x1b]0;owned\\x07\\x3cb\\x3e.png"
    assert file.patient is not None
    assert file.read() == b"film"


def test_two_files_of_one_safe_name_are_refused() -> None:
    files = [
        SourceFile("train", "NORMAL", name, 1, lambda: b"", "zip") for name in ("\x07", "\\x07")
    ]
    with pytest.raises(SourceError, match="Two files are called train/NORMAL/"):
        safely_named(files)
