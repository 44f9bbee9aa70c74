import pytest

from pneumo_core.sources.patients import Patient, identify


@pytest.mark.parametrize(
    ("name", "patient"),
    [
        (
            "person1_bacteria_1.jpeg",
            Patient("person1_bacteria", "person1", "person_pathogen", "bacteria"),
        ),
        (
            "person1946_bacteria_4874.jpeg",
            Patient("person1946_bacteria", "person1946", "person_pathogen", "bacteria"),
        ),
        (
            "PERSON12_Virus_46 (copy).png",
            Patient("person12_virus", "person12", "person_pathogen", "virus"),
        ),
        ("IM-0115-0001.jpeg", Patient("IM-0115", "IM-0115", "im_series")),
        ("IM-0666-0001-0002.jpeg", Patient("IM-0666", "IM-0666", "im_series")),
        ("NORMAL2-IM-0115-0001.jpeg", Patient("NORMAL2-IM-0115", "NORMAL2-IM-0115", "im_series")),
        ("normal2-im-7-0001.jpeg", Patient("NORMAL2-IM-0007", "NORMAL2-IM-0007", "im_series")),
        ("환자 3.jpeg", Patient("환자 3.jpeg", "환자 3.jpeg", "own_film")),
        ("train/NORMAL/1.png", Patient("train/NORMAL/1.png", "train/NORMAL/1.png", "own_film")),
    ],
)
def test_name_tells_the_patient(name: str, patient: Patient) -> None:
    assert identify(name) == patient


def test_equal_names_without_a_rule_tell_nothing() -> None:
    assert identify("train/NORMAL/1.jpeg").group != identify("test/PNEUMONIA/1.jpeg").group


def test_films_of_one_pathogen_are_confirmed_and_of_two_only_possible() -> None:
    bacteria, again, virus = map(
        identify,
        ["person12_bacteria_46.jpeg", "person12_bacteria_47.jpeg", "person12_virus_22.jpeg"],
    )
    assert bacteria == again
    assert bacteria.key != virus.key
    assert bacteria.group == virus.group
