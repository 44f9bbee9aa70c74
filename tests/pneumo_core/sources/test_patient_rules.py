"""The rule of a whole source: recognised or stated, for each origin."""

import pytest

from pneumo_core.errors import SourceError
from pneumo_core.sources.patient_rules import name_patients
from pneumo_core.sources.patients import Patient
from pneumo_core.sources.source import SourceFile

NIH = [f"{patient:08d}_{film:03d}.png" for patient in range(3) for film in range(2)]


def file(name: str, origin: str = "folder", patient: Patient | None = None) -> SourceFile:
    return SourceFile("train", "NORMAL", name, 1, lambda: b"", origin, patient)


def keys(files: list[SourceFile], rule: str = "auto") -> list[str]:
    named = name_patients(files, rule)
    return [each.patient.key for each in named if each.patient is not None]


def rules(files: list[SourceFile], rule: str = "auto") -> list[str]:
    named = name_patients(files, rule)
    return [each.patient.rule for each in named if each.patient is not None]


def test_auto_takes_the_rule_that_most_names_fit() -> None:
    assert rules([file(name) for name in [*NIH, "scan.png"]]) == ["nih"] * 6 + ["unknown"]
    assert len(set(keys([file(name) for name in NIH]))) == 3


def test_a_few_names_that_look_like_a_rule_are_no_rule() -> None:
    names = [NIH[0], *(f"{number}.png" for number in range(5))]
    assert set(rules([file(name) for name in names])) == {"unknown"}


def test_each_origin_has_its_own_rule_and_public_numbers_are_one_patient_in_both() -> None:
    files = [file(f"ap/{NIH[0]}", "ap"), file(f"pa/{NIH[1]}", "pa"), file("c/IM-1-1.png", "c")]
    assert keys(files) == ["nih:0", "nih:0", "IM-0001"]


def test_what_the_source_says_comes_before_names() -> None:
    given = Patient("P1", "P1", "column")
    assert keys([file(NIH[0], patient=given), file(NIH[1])]) == ["P1", "nih:0"]
    assert rules([file(NIH[0], patient=given)], "nih") == ["nih"]
    assert rules([file(NIH[0], patient=given)], "none") == ["unknown"]
    assert rules([file(NIH[0], patient=given), file(NIH[1])], "column") == ["column", "unknown"]


def test_numbers_of_a_pattern_are_confirmed_in_one_origin_and_possible_in_two() -> None:
    files = [file("a/17-1.png", "a"), file("a/17-2.png", "a"), file("b/17-3.png", "b")]
    first, second, other = name_patients(files, r"(?P<patient>\d+)-")
    assert first.patient is not None
    assert first.patient == second.patient
    assert other.patient is not None
    assert other.patient.key != first.patient.key
    assert other.patient.group == first.patient.group


@pytest.mark.parametrize(
    ("names", "rule"),
    [
        (("p007_1.png", "P7_2.png"), r"[pP](?P<patient>\d+)_"),
        (("ab-1.png", "AB-2.png"), r"(?P<patient>\w+)-"),
        (("Hong 07/1.png", "hong 07/2.png"), "parent_folder"),
    ],
)
def test_case_and_zeros_in_front_make_no_other_patient(names: tuple[str, str], rule: str) -> None:
    assert len(set(keys([file(name) for name in names], rule))) == 1


def test_parent_folder_is_a_patient_but_the_folder_of_an_origin_is_none() -> None:
    assert rules([file("hong/1.png"), file("kim/1.png")], "parent_folder") == ["parent_folder"] * 2
    with pytest.raises(SourceError, match="parent_folder fits none of 1 films"):
        name_patients([file("a/1.png", "a")], "parent_folder")


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("nih", "nih fits none of 1 films, such as 1.png"),
        ("dicom", "dicom fits none"),
        ("kermani", r"no group \(\?P<patient>...\); or one of auto, kermany, nih"),
        ("(", "is no regular expression"),
    ],
)
def test_a_rule_that_fits_nothing_is_refused(rule: str, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        name_patients([file("1.png")], rule)
