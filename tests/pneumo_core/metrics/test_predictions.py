"""A CSV of predictions: every identifier is text, whatever it looks like."""

from pathlib import Path

import pandas as pd
import pytest

from pneumo_core.errors import EvaluationError
from pneumo_core.evaluation.evaluation import read_evaluation
from pneumo_core.metrics.predictions import match, read_predictions, read_table

IDS = ["0001234", "2.10", "007", "7", "NA", "1e5", "null", "-0", " x", "True"]


@pytest.fixture
def written(tmp_path: Path) -> pd.DataFrame:
    """A folder of an evaluation with these ids, and its table."""
    table = pd.DataFrame(
        {
            "image_id": IDS,
            "path": IDS,
            "patient_key": IDS,
            "label": ["NORMAL", "PNEUMONIA"] * 5,
            "subtype": [None, "NA"] * 5,
            "origin": "table",
            "probability": [0.1, 0.9] * 5,
        }
    )
    table.to_csv(tmp_path / "predictions.csv", index=False)
    (tmp_path / "metrics.json").write_text('{"threshold": 0.5}')
    return table


def test_identifiers_come_back_as_they_were_written(written: pd.DataFrame, tmp_path: Path) -> None:
    found = read_table(tmp_path / "predictions.csv")
    for column in ("image_id", "path", "patient_key", "subtype"):
        assert found[column].fillna("").tolist() == written[column].fillna("").tolist()
    assert found["probability"].tolist() == written["probability"].tolist()
    assert read_evaluation(tmp_path).scores.patient_keys.tolist() == IDS


def test_files_are_matched_by_the_text_of_their_ids(written: pd.DataFrame, tmp_path: Path) -> None:
    written[::-1].to_csv(tmp_path / "turned.csv", index=False)
    ours = read_predictions(tmp_path / "predictions.csv")
    left, right = match(ours, read_predictions(tmp_path / "turned.csv"))
    assert right.table["image_id"].tolist() == left.table["image_id"].tolist() == IDS
    assert right.table["patient_key"].tolist() == IDS


def test_missing_id_is_refused(written: pd.DataFrame, tmp_path: Path) -> None:
    written.assign(patient_key=["", *IDS[1:]]).to_csv(tmp_path / "gap.csv", index=False)
    with pytest.raises(
        EvaluationError, match="patient_key is missing in 1 of 10 rows, as in row 2"
    ):
        read_predictions(tmp_path / "gap.csv")


def test_a_spreadsheets_csv_is_read(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_bytes("label;probability;image_id\r\n1;0.75;환자-07\r\n".encode("cp949"))
    (row,) = read_predictions(path).table.to_dict("records")
    assert (row["label"], row["probability"], row["image_id"]) == ("PNEUMONIA", 0.75, "환자-07")
