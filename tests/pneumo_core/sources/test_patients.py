import pytest

from pneumo_core.sources.patients import (
    PUBLIC_RULES,
    Patient,
    by_pattern,
    canonical_id,
    kermany,
    number_of_nobody,
    unknown,
)


@pytest.mark.parametrize(
    ("name", "patient"),
    [
        (
            "person1_bacteria_1.jpeg",
            Patient("person1_bacteria", "person1", "kermany", "bacteria"),
        ),
        (
            "person1946_bacteria_4874.jpeg",
            Patient("person1946_bacteria", "person1946", "kermany", "bacteria"),
        ),
        (
            "PERSON12_Virus_46 (copy).png",
            Patient("person12_virus", "person12", "kermany", "virus"),
        ),
        ("IM-0115-0001.jpeg", Patient("IM-0115", "IM-0115", "kermany")),
        ("IM-0666-0001-0002.jpeg", Patient("IM-0666", "IM-0666", "kermany")),
        ("NORMAL2-IM-0115-0001.jpeg", Patient("NORMAL2-IM-0115", "NORMAL2-IM-0115", "kermany")),
        ("normal2-im-7-0001.jpeg", Patient("NORMAL2-IM-0007", "NORMAL2-IM-0007", "kermany")),
        ("환자 3.jpeg", None),
        ("1.png", None),
    ],
)
def test_name_tells_the_patient(name: str, patient: Patient | None) -> None:
    assert kermany(name) == patient


def test_equal_names_without_a_rule_tell_nothing() -> None:
    assert unknown("train/NORMAL/1.jpeg").group != unknown("test/PNEUMONIA/1.jpeg").group


@pytest.mark.parametrize(
    ("rule", "name", "key"),
    [
        ("nih", "00012229_003.png", "nih:12229"),
        ("nih", "ap/00012229_003.png", "nih:12229"),
        ("nih", "0012229_003.png", None),
        ("chexpert", "patient00001/study1/view1_frontal.jpg", "chexpert:1"),
        ("chexpert", "patient64541_study1_view1_frontal.jpg", "chexpert:64541"),
        ("chexpert", "patient.jpg", None),
        ("mimic", "files/p10/p10000032/s50414267/02aa804e.jpg", "mimic:10000032"),
        ("mimic", "p10000032.jpg", None),
    ],
)
def test_public_sets_number_their_patients(rule: str, name: str, key: str | None) -> None:
    patient = PUBLIC_RULES[rule](name)
    assert (patient and patient.key) == key


def test_a_zero_in_front_counts_nothing_in_a_number_and_something_in_a_name() -> None:
    assert canonical_id("00012") == canonical_id("12.0") == "12"
    assert canonical_id("000") == "0"
    assert canonical_id("0ab") != canonical_id("AB")


@pytest.mark.parametrize(
    ("numbers", "nobody"),
    [
        ("111234", None),  # half of them
        ("11123", "1"),
        ("1112345", None),
        ("1123", None),
        ("", None),
    ],
)
def test_the_number_of_most_films_in_several_studies_names_nobody(
    numbers: str, nobody: str | None
) -> None:
    films = [(number, f"study {place}") for place, number in enumerate(numbers)]
    assert number_of_nobody([*films, ("ANONYMOUS", "a"), ("", "b")]) == nobody
    assert number_of_nobody((number, "one study") for number in numbers) is None


def test_a_pattern_needs_a_group() -> None:
    with pytest.raises(ValueError, match=r"\(\?P<patient>"):
        by_pattern("pattern", r"\d+")


def test_films_of_one_pathogen_are_confirmed_and_of_two_only_possible() -> None:
    bacteria, again, virus = map(
        kermany,
        ["person12_bacteria_46.jpeg", "person12_bacteria_47.jpeg", "person12_virus_22.jpeg"],
    )
    assert bacteria is not None
    assert virus is not None
    assert bacteria == again
    assert bacteria.key != virus.key
    assert bacteria.group == virus.group
