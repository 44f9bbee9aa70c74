"""Which paths are films of a split and a class."""

from pathlib import PurePosixPath

import pytest

from pneumo_core.errors import SourceError
from pneumo_core.params import IngestParams
from pneumo_core.sources.layout import over_limits, parse_label, parse_place, parse_split


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("train/NORMAL/a.png", ("train", "NORMAL", "a.png")),
        ("archive/Valid/pneumonia/a.png", ("val", "PNEUMONIA", "a.png")),
        ("test/NORMAL/ward/a.png", ("test", "NORMAL", "ward/a.png")),
        ("NORMAL/train/a.png", None),
        ("Training/NORMAL/a.png", ("train", "NORMAL", "a.png")),
        ("test_set/normal/a.png", ("test", "NORMAL", "a.png")),
        ("TESTING/Normal/a.png", ("test", "NORMAL", "a.png")),
        ("development/NORMAL/a.png", ("val", "NORMAL", "a.png")),
        ("site/Normal/ward/a.png", ("all", "NORMAL", "ward/a.png")),
        ("NORMAL/a.png", ("all", "NORMAL", "a.png")),
        ("NORMAL/PNEUMONIA/a.png", None),
        ("train/PNEUMONIA/NORMAL/a.png", None),
        ("train/NORMAL/test/a.png", None),
        ("train/test/NORMAL/a.png", None),
        ("pneumonia/train/NORMAL/a.png", ("train", "NORMAL", "a.png")),
        ("trn/NORMAL/a.png", ("train", "NORMAL", "a.png")),
        ("tst/NORMAL/a.png", ("test", "NORMAL", "a.png")),
        ("Hold-out/NORMAL/a.png", ("test", "NORMAL", "a.png")),
        ("train/site/NORMAL/a.png", None),
        ("train/NORMAL/.DS_Store", None),
        ("train/NORMAL/DICOMDIR", None),
        ("train/NORMAL/Version", None),
        ("train/NORMAL/version/a.png", ("train", "NORMAL", "version/a.png")),
        ("train/NORMAL/study/autorun.inf", None),
        ("train/NORMAL/a.png:Zone.Identifier", None),
        ("__MACOSX/train/NORMAL/a.png", None),
        ("train/a.png", None),
    ],
)
def test_place_of_a_path(path: str, place: tuple[str, str, str] | None) -> None:
    assert parse_place(PurePosixPath(path)) == place


def test_unknown_names_are_errors_that_say_where() -> None:
    assert (parse_label(" normal ", "row 3"), parse_split("Validation", "row 3")) == (
        "NORMAL",
        "val",
    )
    for parse in (parse_label, parse_split):
        with pytest.raises(SourceError, match=r"^row 3: .* 'other', expected"):
            parse("other", "row 3")


def test_a_split_that_is_not_stated_is_dealt_later() -> None:
    assert parse_split("  ", "row 3") == "all"


def test_limits_are_of_number_and_of_total_size() -> None:
    limits = IngestParams(source="x", max_files=2, max_total_gb=1e-6)
    assert over_limits([400, 600], limits) is None
    assert "3 files" in str(over_limits([1, 1, 1], limits))
    assert "ingest.max_total_gb" in str(over_limits([600, 401], limits))
