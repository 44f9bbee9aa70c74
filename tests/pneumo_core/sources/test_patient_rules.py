"""The rule of a whole source: recognised or stated, for each origin."""

from dataclasses import replace

import pytest

from pneumo_core.errors import SourceError
from pneumo_core.sources.patient_rules import name_patients, named
from pneumo_core.sources.patients import UNKNOWN, Patient, unknown
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


def test_half_of_the_names_are_enough_for_a_rule() -> None:
    assert rules([file(NIH[0]), file("scan.png")]) == ["nih", "unknown"]


def test_each_origin_has_its_own_rule_and_public_numbers_are_one_patient_in_both() -> None:
    files = [file(f"ap/{NIH[0]}", "ap"), file(f"pa/{NIH[1]}", "pa"), file("c/IM-1-1.png", "c")]
    assert keys(files) == ["nih:0", "nih:0", "IM-0001"]


def test_what_the_source_says_comes_before_names() -> None:
    given = Patient("P1", "P1", "column")
    assert keys([file(NIH[0], patient=given), file(NIH[1])]) == ["P1", "nih:0"]
    assert rules([file(NIH[0], patient=given)], "nih") == ["nih"]
    assert rules([file(NIH[0], patient=given)], "none") == ["unknown"]
    assert rules([file(NIH[0], patient=given), file(NIH[1])], "column") == ["column", "unknown"]
    tag = Patient("P2", "P2", "dicom")
    files = [file("1.dcm", patient=given), file("2.dcm", patient=tag), file("3.dcm")]
    assert rules(files, "dicom") == ["unknown", "dicom", "unknown"]


def test_where_all_are_named_nothing_is_recognised() -> None:
    """As after the rule none."""
    without = [file(name, patient=unknown(name)) for name in NIH]
    assert named(without) == without
    found = named([*without, file("00000007_000.png")])
    assert {each.patient.rule for each in found if each.patient} == {"nih"}


def test_numbers_of_a_pattern_are_confirmed_in_one_origin_and_possible_in_two() -> None:
    files = [file("a/17-1.png", "a"), file("a/17-2.png", "a"), file("b/17-3.png", "b")]
    first, second, other = name_patients(files, r"(?P<patient>\d+)-")
    assert first.patient is not None
    assert first.patient == second.patient
    assert other.patient is not None
    assert other.patient.key != first.patient.key
    assert other.patient.group == first.patient.group


@pytest.mark.parametrize(
    ("name", "rule", "key", "group"),
    [
        ("17-1.png", r"(?P<patient>\d+)-", "folder/pattern:17", "pattern:17"),
        ("-1.png", r"(?P<patient>\d*)-", None, None),
        ("scan.png", r"(?P<patient>\d+)-", None, None),
        ("hong/1.png", "parent_folder", "folder/HONG", "HONG"),
        ("person3_virus_1.png", "kermany", "person3_virus", "person3"),
        ("scan.png", "none", None, None),
    ],
)
@pytest.mark.parametrize("id_space", ["", "ward 7"])
def test_key_and_group_are_of_the_origin_as_far_as_its_numbers_are(
    name: str, rule: str, key: str | None, group: str | None, id_space: str
) -> None:
    """What the source says of the pathogen stays."""
    given = replace(file(name, patient=unknown("row 1", "bacteria")), id_space=id_space)
    other = file("99-/person9_virus_1.png", patient=unknown("row 2"))
    found = name_patients([given, other], rule)[0].patient
    if key is None or group is None:
        assert found == given.patient
        return
    own = f"{id_space}/" if id_space else ""
    key = key if key.startswith("folder/") else own + key
    name_of_rule = "pattern" if "(" in rule else rule
    assert found == Patient(key, own + group, name_of_rule, "bacteria")


def test_a_film_that_no_rule_fits_is_a_patient_of_its_own() -> None:
    found = name_patients([file("1.png"), file("2.png")], "none")
    assert [each.patient for each in found] == [
        Patient(place, place, UNKNOWN) for place in ("train/NORMAL/1.png", "train/NORMAL/2.png")
    ]
    (left,) = name_patients([file("1.png", patient=Patient("P1", "P1", "column", "virus"))], "none")
    assert left.patient == unknown("train/NORMAL/1.png", "virus")


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


def test_a_rule_for_no_films_is_refused() -> None:
    with pytest.raises(SourceError, match="nih fits none of 0 films: state another rule"):
        name_patients([], "nih")
