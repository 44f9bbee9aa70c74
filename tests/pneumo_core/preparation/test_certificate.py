import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pneumo_core.data import manifest
from pneumo_core.data.leakage import (
    CERTIFICATE_VERSION,
    patients_sentence,
    read,
    require_valid,
    split_sentence,
    verdict,
)
from pneumo_core.errors import CertificateError
from pneumo_core.preparation.certificate import certify
from pneumo_core.preparation.duplicates import Duplicates, remove_duplicates
from pneumo_core.sources.patients import UNKNOWN

NOTHING = Duplicates([], [], [], [])

MakeTable = Callable[..., pd.DataFrame]


@pytest.fixture
def table(make_table: MakeTable) -> pd.DataFrame:
    """One person of two pathogens in train and test, one series in val and train."""
    names = [
        "train/NORMAL/IM-0001-0001.jpeg",
        "train/NORMAL/IM-0002-0001.jpeg",
        "val/NORMAL/IM-0002-0002.jpeg",
        "test/NORMAL/IM-0003-0001.jpeg",
        "train/PNEUMONIA/person1_bacteria_1.jpeg",
        "train/PNEUMONIA/person2_bacteria_2.jpeg",
        "test/PNEUMONIA/person1_virus_3.jpeg",
        "test/PNEUMONIA/person1_virus_4.jpeg",
        "test/PNEUMONIA/person9_virus_5.jpeg",
    ]
    return make_table({"image_id": name, "sha256": f"{i:064x}"} for i, name in enumerate(names))


def _drop(table: pd.DataFrame, *image_ids: str) -> pd.DataFrame:
    return table[~table["image_id"].isin(image_ids)]


def test_counts_are_by_split_and_label(table: pd.DataFrame) -> None:
    found = certify(table, NOTHING)
    assert found["certificate_version"] == CERTIFICATE_VERSION
    assert found["counts"] == {
        "train": {"NORMAL": 2, "PNEUMONIA": 2},
        "val": {"NORMAL": 1, "PNEUMONIA": 0},
        "test": {"NORMAL": 1, "PNEUMONIA": 3},
    }


def test_a_certificate_of_another_version_is_not_read(table: pd.DataFrame, tmp_path: Path) -> None:
    certificate = json.loads(json.dumps(certify(table, NOTHING)))
    path = tmp_path / "certificate.json"
    path.write_text(json.dumps(certificate))
    assert read(path) == certificate
    path.write_text(json.dumps(certificate | {"certificate_version": 2}))
    with pytest.raises(CertificateError, match="has the version 2 of the certificate"):
        read(path)


def test_who_made_the_test_split_is_told(table: pd.DataFrame) -> None:
    assert split_sentence(certify(table, NOTHING)) == "Test is the source's own"


def known(num_films: int, num_patients: int) -> dict[str, Any]:
    rules = {"kermany": num_films}
    return {"films": num_films, "known": num_films, "num_patients": num_patients, "rules": rules}


def test_patients_are_counted_in_images_of_the_later_split(table: pd.DataFrame) -> None:
    found = certify(table, NOTHING)
    assert found["patients"] == known(9, 7) | {
        "confirmed_across_splits": 1,
        "possible_across_splits": 3,
    }
    assert found["lists"]["confirmed_across_splits"] == ["val/NORMAL/IM-0002-0002.jpeg"]
    assert found["lists"]["possible_across_splits"] == [
        "val/NORMAL/IM-0002-0002.jpeg",
        "test/PNEUMONIA/person1_virus_3.jpeg",
        "test/PNEUMONIA/person1_virus_4.jpeg",
    ]
    assert not found["valid"]
    assert found["faults"] == [{"kind": "patients", "number": 1}]
    assert verdict(found) == "not valid: 1 images of patients confirmed in an earlier split too"


def test_possible_links_alone_are_no_fault(table: pd.DataFrame) -> None:
    found = certify(_drop(table, "val/NORMAL/IM-0002-0002.jpeg"), NOTHING)
    assert found["patients"] == known(8, 7) | {
        "confirmed_across_splits": 0,
        "possible_across_splits": 2,
    }
    assert found["valid"]
    assert found["faults"] == []


def test_unknown_patients_are_a_state_of_their_own_which_training_refuses(
    table: pd.DataFrame,
) -> None:
    sound = _drop(table, "val/NORMAL/IM-0002-0002.jpeg").reset_index(drop=True)
    sound.loc[0, "patient_rule"] = UNKNOWN
    train = sound.loc[sound["split"] == "train", "image_id"]
    found = certify(sound, NOTHING)
    assert (found["state"], found["valid"], found["faults"]) == ("patients unknown", False, [])
    with pytest.raises(CertificateError, match=r"known for 7 of 8 films by kermany \(6 patients\)"):
        require_valid(found, sound, train)
    require_valid(certify(sound, NOTHING, accept_unknown_patients=True), sound, train)
    assert certify(table, NOTHING)["state"] == "not valid"
    nobody = certify(sound.assign(patient_rule=UNKNOWN), NOTHING)
    assert patients_sentence(nobody) == "Patient known for 0 of 8 films by no rule"


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_a_split_without_a_readable_film_is_a_fault(table: pd.DataFrame, split: str) -> None:
    table.loc[table["split"] == split, "state"] = manifest.QUARANTINED
    found = certify(table, NOTHING)
    assert found["state"] == "not valid"
    assert {"kind": "empty_split", "split": split} in found["faults"]


def test_splits_that_nobody_named_are_missing_and_counted_as_empty(table: pd.DataFrame) -> None:
    only_test = table[table["source_split"] == "test"]
    found = certify(only_test[only_test["label"] == "NORMAL"], NOTHING)
    assert verdict(found) == "not valid: no readable film in train"
    nobody = {"NORMAL": 0, "PNEUMONIA": 0}
    assert found["counts"] == {"train": nobody, "val": nobody, "test": nobody | {"NORMAL": 1}}


def test_nothing_at_all_is_not_valid(table: pd.DataFrame) -> None:
    found = certify(table.assign(state=manifest.QUARANTINED), NOTHING)
    assert not found["valid"]
    assert found["patients"]["known"] == 0


GROUP_INSIDE = ["train/NORMAL/IM-0001-0001.jpeg", "train/NORMAL/IM-0002-0001.jpeg"]
GROUP_ACROSS = ["test/PNEUMONIA/person9_virus_5.jpeg", "train/PNEUMONIA/person2_bacteria_2.jpeg"]


@pytest.mark.parametrize("kind", ["exact", "near"])
def test_copies_are_a_fault_across_splits_only(table: pd.DataFrame, kind: str) -> None:
    table = _drop(table, "val/NORMAL/IM-0002-0002.jpeg")
    name = {"exact": "exact_duplicates", "near": "near_duplicates"}[kind]

    def with_groups(*groups: list[str]) -> Duplicates:
        return Duplicates(**(vars(NOTHING) | {kind: list(groups)}))

    inside = certify(table, with_groups(GROUP_INSIDE))
    assert inside[name] == {"groups": 1, "extra_files": 1, "groups_across_splits": 0}
    assert inside["valid"]
    both = certify(table, with_groups(GROUP_INSIDE, GROUP_ACROSS))
    assert both[name] == {"groups": 2, "extra_files": 2, "groups_across_splits": 1}
    assert both["lists"][f"{name}_across_splits"] == [GROUP_ACROSS]
    assert not both["valid"]


def test_copies_that_were_removed_count_no_more(table: pd.DataFrame) -> None:
    table = _drop(table, "val/NORMAL/IM-0002-0002.jpeg").reset_index(drop=True)
    table.loc[table["image_id"] == GROUP_ACROSS[1], "state"] = manifest.DUPLICATE
    found = certify(table, Duplicates([GROUP_ACROSS], [], [], [GROUP_ACROSS]))
    assert found["exact_duplicates"]["groups"] == 0
    assert found["valid"]
    assert list(found["lists"]["duplicates"]) == [GROUP_ACROSS[1]]


def test_a_picture_with_both_labels_is_a_fault(table: pd.DataFrame) -> None:
    table = _drop(table, "val/NORMAL/IM-0002-0002.jpeg")
    group = ["train/NORMAL/IM-0001-0001.jpeg", "train/PNEUMONIA/person2_bacteria_2.jpeg"]
    found = certify(table, Duplicates([group], [], [group], []))
    assert found["label_conflicts"] == found["label_conflicts_in_use"] == 1
    assert verdict(found) == "not valid: 1 pictures with both labels"


def test_a_quarantined_label_conflict_is_counted_and_no_fault(table: pd.DataFrame) -> None:
    group = ["test/NORMAL/IM-0003-0001.jpeg", "test/PNEUMONIA/person9_virus_5.jpeg"]
    table = _drop(table, "val/NORMAL/IM-0002-0002.jpeg")
    cleaned = remove_duplicates(table, Duplicates([group], [], [group], []))
    found = certify(cleaned, Duplicates([group], [], [group], []))
    assert (found["label_conflicts"], found["label_conflicts_in_use"]) == (1, 0)
    assert found["valid"]
    assert found["lists"]["quarantined"].keys() == set(group)
    lost = {(row["label"], row["quarantined"]) for row in found["steps"] if row["split"] == "test"}
    assert {("NORMAL", 1), ("PNEUMONIA", 1)} <= lost


def test_films_in_test_that_look_alike_under_both_labels_are_reported_and_no_fault(
    table: pd.DataFrame,
) -> None:
    group = ["test/NORMAL/IM-0003-0001.jpeg", "test/PNEUMONIA/person9_virus_5.jpeg"]
    table = _drop(table, "val/NORMAL/IM-0002-0002.jpeg")
    alike = Duplicates([], [group], [group], [])
    found = certify(remove_duplicates(table, alike), alike)
    assert found["lists"]["label_conflicts"] == [group]
    assert found["valid"]


def test_the_test_hash_is_of_contents_and_labels_not_of_names(table: pd.DataFrame) -> None:
    pinned = certify(table, NOTHING)["test_split_hash"]
    renamed = table.assign(image_id=table["image_id"] + "x").sample(frac=1, random_state=0)
    assert certify(renamed, NOTHING)["test_split_hash"] == pinned
    for column, value in (("sha256", "f" * 64), ("label", "NORMAL"), ("split", "val")):
        other = table.copy()
        other.loc[8, column] = value
        assert certify(other, NOTHING)["test_split_hash"] != pinned
    without_val = _drop(table, "val/NORMAL/IM-0002-0002.jpeg")
    assert certify(without_val, NOTHING, pinned)["valid"]
    refused = certify(_drop(without_val, table.at[8, "image_id"]), NOTHING, pinned)
    assert "not the pinned one" in verdict(refused)


def test_training_needs_a_valid_certificate_of_exactly_its_data(table: pd.DataFrame) -> None:
    sound = _drop(table, "val/NORMAL/IM-0002-0002.jpeg").reset_index(drop=True)
    train = sound.loc[sound["split"] == "train", "image_id"]
    require_valid(certify(sound, NOTHING), sound, train)
    with pytest.raises(CertificateError, match="not valid: 1 images of patients"):
        require_valid(certify(table, NOTHING), table, train)
    with pytest.raises(CertificateError, match="is not valid"):
        require_valid(dict(certify(sound, NOTHING)) | {"state": "fine"}, sound, train)
    for column, value in (("split", "test"), ("label", "PNEUMONIA"), ("patient_key", "x")):
        moved = sound.copy()
        moved.loc[0, column] = value
        with pytest.raises(CertificateError, match="not about these films"):
            require_valid(certify(sound, NOTHING), moved, train)
    with pytest.raises(CertificateError, match="not in train, such as test/NORMAL"):
        require_valid(certify(sound, NOTHING), sound, sound["image_id"])


def test_steps_add_up(table: pd.DataFrame) -> None:
    table.loc[0, "state"] = manifest.QUARANTINED
    table.loc[5, "state"] = manifest.DUPLICATE
    table.loc[4, "split"] = "val"
    rows = certify(table, NOTHING)["steps"]
    assert {row["subtype"] for row in rows if row["label"] == "NORMAL"} == {None}
    steps = pd.DataFrame(rows)
    left = steps["files"] - steps["quarantined"] - steps["duplicate"] + steps["moved"]
    assert (left == steps["used"]).all()
    assert steps["files"].sum() == len(table)
    assert steps["moved"].sum() == 0
    moved = steps[steps["moved"] != 0][["split", "subtype", "moved"]]
    assert moved.values.tolist() == [["train", "bacteria", -1], ["val", "bacteria", 1]]


def test_films_in_no_split_are_not_certified(table: pd.DataFrame) -> None:
    found = certify(table.assign(split="all", source_split="all"), NOTHING)
    assert found["state"] == "not valid"
    assert "the films are in no split, the stage split makes the splits" in verdict(found)


def test_unreadable_films_in_no_split_are_called_unreadable(table: pd.DataFrame) -> None:
    unsplit = table.assign(split="all", source_split="all", state=manifest.QUARANTINED)
    assert verdict(certify(unsplit, NOTHING)) == "not valid: no readable film"
