"""Figures for anybody's predictions, and whether two of them differ; what is wrong with a file."""

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from flows.cli.app import app
from pneumo_core.errors import EvaluationError

Ask = Callable[..., Result]


@pytest.fixture
def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Asks pneumo in an empty folder; an error is the answer's `exception`."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(app, [str(each) for each in arguments])


def model(seed: int, skill: float, num_films: int = 400) -> pd.DataFrame:
    """Predictions on the same films, two a patient, whatever the seed."""
    patients = np.arange(num_films) // 2
    positive = patients % 3 > 0
    noise = np.random.default_rng(seed).normal(size=num_films)
    return pd.DataFrame(
        {
            "image_id": [f"film {number}" for number in range(num_films)],
            "label": np.where(positive, "PNEUMONIA", "NORMAL"),
            "probability": 1 / (1 + np.exp(-skill * (2 * positive - 1) - noise)),
            "patient_key": [f"patient {number}" for number in patients],
        }
    )


def numbers(value: Any) -> Iterator[float]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from numbers(each)
    elif isinstance(value, float):
        yield value


def test_a_folded_matrix_has_the_published_figures(ask: Ask, tmp_path: Path) -> None:
    """389 of 390 positive and 210 of 234 well films found, as a paper gives them."""
    rows = [(1, 0.9)] * 389 + [(1, 0.1)] + [(0, 0.1)] * 210 + [(0, 0.9)] * 24
    pd.DataFrame(rows, columns=["label", "probability"]).to_csv("folded.csv", index=False)
    result = ask("evaluate", "--predictions", "folded.csv", "--out", "found")
    assert result.exit_code == 0, result.exception
    found = json.loads((tmp_path / "found/metrics.json").read_text())
    rounded = {
        name: [round(number, 3) for number in found[name].values()]
        for name in ("accuracy", "specificity")
    }
    assert rounded == {"accuracy": [0.96, 0.942, 0.973], "specificity": [0.897, 0.852, 0.93]}
    assert "accuracy     0.960 [0.942, 0.973]" in result.stdout
    assert all(map(math.isfinite, numbers(found)))


def test_a_threshold_in_the_file_and_a_prevalence_are_used(ask: Ask, tmp_path: Path) -> None:
    model(1, 1.0).assign(threshold=0.25).to_csv("model.csv", index=False)
    arguments = ("--predictions", "model.csv", "--out", "found", "--prevalence", "0.02")
    assert ask("evaluate", *arguments).exit_code == 0
    found = json.loads((tmp_path / "found/metrics.json").read_text())
    assert (found["threshold"], found["n"], found["n_patients"]) == (0.25, 400, 200)
    (point,) = found["operating_points"].values()
    assert [each["prevalence"] for each in point["predictive"]] == [0.02]


def test_groups_by_named_columns_are_drawn_and_judged(ask: Ask, tmp_path: Path) -> None:
    """Women get a probability of chance: the model knows nothing of them."""
    table = model(1, 2.0, num_films=1200)
    women = table["patient_key"].str[-1].isin(list("13579"))
    noise = np.random.default_rng(0).uniform(size=len(table))
    table["probability"] = table["probability"].where(~women, noise)
    table["sex"], table["ward"] = np.where(women, "F", "M"), "7"
    table.loc[:99, "sex"] = None
    table.to_csv("model.csv", index=False)
    result = ask("evaluate", "--predictions", "model.csv", "--out", "found", "--by", "sex, ward")
    assert result.exit_code == 0, result.exception
    found = json.loads((tmp_path / "found/metrics.json").read_text())
    assert list(found["subgroups"]) == ["sex", "ward"]
    assert list(found["subgroups"]["sex"]) == ["F", "M", "not stated"]
    assert found["group_differences"]["sex"]["verdict"] == "differs"
    assert "Groups by sex: \N{BALLOT X} No. The difference is beyond chance: " in result.stdout
    assert "female minus male" in result.stdout
    assert "Groups by ward: ? Open. Fewer than two groups have 20 patients" in result.stdout
    drawn = [line for line in result.stdout.splitlines() if "●" in line]
    assert [line.split()[0] for line in drawn[:3]] == ["female", "male", "not"]
    quiet = ask("evaluate", "--predictions", "model.csv", "--out", "found")
    assert "Groups by" not in quiet.stdout  # of its columns none was named


def test_unknown_column_is_named_with_those_that_there_are(ask: Ask) -> None:
    model(1, 1.0).assign(sex="F").to_csv("model.csv", index=False)
    result = ask("evaluate", "--predictions", "model.csv", "--out", "found", "--by", "sex,rase")
    assert isinstance(result.exception, EvaluationError)
    assert str(result.exception) == "There is no column rase to group the films by, only sex."


@pytest.mark.usefixtures("project_params")
def test_the_projects_own_parameters_count(ask: Ask, tmp_path: Path) -> None:
    model(1, 1.0).to_csv("model.csv", index=False)
    assert ask("evaluate", "--predictions", "model.csv", "--out", "found").exit_code == 0
    found = json.loads((tmp_path / "found/metrics.json").read_text())
    (point,) = found["operating_points"].values()
    assert [each["prevalence"] for each in point["predictive"]] == [0.03]


def test_written_predictions_are_read_back_to_the_last_bit(ask: Ask, tmp_path: Path) -> None:
    table = model(2, 1.0)
    table.to_csv("model.csv", index=False)
    ask("evaluate", "--predictions", "model.csv", "--out", "found")
    again = pd.read_csv(tmp_path / "found/predictions.csv")
    assert (again["probability"] == table["probability"]).all()


@pytest.mark.parametrize(("skill", "verdict"), [(1.0, "tied"), (0.3, "different")])
def test_compare_tells_beyond_chance(skill: float, verdict: str, ask: Ask, tmp_path: Path) -> None:
    model(1, 1.0).to_csv("a.csv", index=False)
    model(2, skill).sample(frac=1, random_state=0).to_csv("b.csv", index=False)
    result = ask("compare", "a.csv", "b.csv", "--out", "found.json")
    assert result.exit_code == 0, result.exception
    (line,) = (line for line in result.stdout.splitlines() if line.startswith("  auroc "))
    assert line.endswith(verdict)
    (pair,) = json.loads((tmp_path / "found.json").read_text())["pairs"]
    assert pair["auroc"]["ci_low"] < pair["auroc"]["value"] < pair["auroc"]["ci_high"]


def wrong(table: pd.DataFrame, fault: str) -> pd.DataFrame:
    match fault:
        case "one class":
            return table.assign(label="NORMAL")
        case "three images":
            return table.iloc[[0, 1, 2]].assign(label=["NORMAL", "PNEUMONIA", "NORMAL"])
        case "all equal":
            return table.assign(probability=0.7)
        case "no labels":
            return table.drop(columns="label")
        case "a label missing":
            return table.assign(label=table["label"].where(table.index != 5))
        case "another word":
            return table.assign(label="sick")
        case "no number":
            return table.assign(probability="high")
        case "beyond one":
            return table.assign(probability=100 * table["probability"])
        case "two thresholds":
            return table.assign(threshold=np.linspace(0.1, 0.9, len(table)))
        case "a film twice":
            return pd.concat([table, table.tail(1)])
        case _:
            raise AssertionError(fault)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("one class", "0 of 400 films are PNEUMONIA: both classes needed"),
        ("three images", "figures need at least"),
        ("all equal", "All 400 probabilities are 0.7"),
        ("no labels", "has no column label"),
        ("a label missing", "label is missing in 1 of 400 rows, as in row"),
        ("another word", "label is 'sick', not one of"),
        ("no number", "probability is missing or no number"),
        ("beyond one", "probability is outside 0 to 1 in 400 of 400 rows"),
        ("two thresholds", "400 thresholds: one is needed"),
        ("a film twice", "image_id is there twice"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_and_nothing_written(
    fault: str, message: str, ask: Ask, tmp_path: Path
) -> None:
    wrong(model(1, 1.0), fault).to_csv("model.csv", index=False)
    result = ask("evaluate", "--predictions", "model.csv", "--out", "found")
    assert isinstance(result.exception, EvaluationError)
    assert message in str(result.exception)
    assert not (tmp_path / "found").exists()


def test_what_is_no_csv_is_told(ask: Ask) -> None:
    Path("model.csv").write_bytes(b"\xff\xfe\x00film")
    result = ask("evaluate", "--predictions", "model.csv", "--out", "found")
    assert isinstance(result.exception, EvaluationError)
    assert "cannot be read as a CSV" in str(result.exception)


def test_models_on_other_films_are_not_compared(ask: Ask) -> None:
    model(1, 1.0).to_csv("a.csv", index=False)
    model(1, 1.0).iloc[:-2].to_csv("b.csv", index=False)
    result = ask("compare", "a.csv", "b.csv")
    assert isinstance(result.exception, EvaluationError)
    assert "2 films are in one of the two alone, as film 398, film 399" in str(result.exception)


def test_films_or_a_file_must_be_given(ask: Ask) -> None:
    result = ask("evaluate", "--out", "found")
    assert isinstance(result.exception, EvaluationError)
    assert "--source" in str(result.exception)


def test_films_that_a_model_was_trained_on_are_named(
    trained: Path, tmp_path: Path, typed: Callable[..., Any]
) -> None:
    (cell, *_) = sorted((trained / "results/evaluate/cells").iterdir())
    for split, warned in (("train", True), ("test", False)):
        result = typed(
            *("pneumo", "evaluate", "--bundle", cell / "bundle", "--split", split),
            *("--source", trained / "results/ingest/raw", "--out", tmp_path / split),
            cwd=trained,
        )
        assert result.returncode == 0, result.stderr
        assert ("Warning: the model was trained on" in result.stderr) == warned
