"""The few test films that travel with a model."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from pneumo_core.arrays import Gray
from pneumo_core.errors import PromotionError
from pneumo_core.evaluation.scoring import Scorer
from pneumo_core.promotion.pinned_sample import NUM_PER_CLASS, Sample, deviation, draw


def test_the_films_with_the_lowest_hashes_of_each_class_are_drawn() -> None:
    num_films = 2 * NUM_PER_CLASS + 6
    table = pd.DataFrame(
        {
            "image_id": [f"film {number}" for number in range(num_films)],
            "sha256": [f"{number * 7 % num_films:02}" for number in range(num_films)],
            "label": ["NORMAL", "PNEUMONIA"] * (num_films // 2),
        }
    )
    predictions = table[["image_id", "label"]].assign(probability=table["sha256"].astype(int) / 100)
    drawn = draw(predictions, table)
    for label in ("NORMAL", "PNEUMONIA"):
        lowest = sorted(table.loc[table["label"] == label, "sha256"])[:NUM_PER_CLASS]
        assert [row["sha256"] for row in drawn if row["sha256"] in lowest] == lowest
    assert len(drawn) == 2 * NUM_PER_CLASS
    assert all(
        row == {"sha256": row["sha256"], "probability": int(row["sha256"]) / 100} for row in drawn
    )
    shuffled = predictions.sample(frac=1, random_state=0)
    assert draw(shuffled, table) == drawn


@pytest.fixture(scope="module")
def films(film: Callable[..., Gray], encode: Callable[..., bytes]) -> dict[str, bytes]:
    files = [encode(film(seed, 80, 96)) for seed in range(3)]
    return {hashlib.sha256(data).hexdigest(): data for data in files}


@pytest.fixture(scope="module")
def scorer(small_bundle: Path) -> Scorer:
    return Scorer.load(small_bundle)


@pytest.fixture
def sample(films: dict[str, bytes], scorer: Scorer) -> Sample:
    def now(name: str) -> float:
        return deviation([{"sha256": name, "probability": 0.0}], scorer, films.__getitem__)

    return [{"sha256": name, "probability": now(name)} for name in films]


def test_the_largest_deviation_counts(
    films: dict[str, bytes], scorer: Scorer, sample: Sample
) -> None:
    assert deviation(sample, scorer, films.__getitem__) < 1e-6
    sample[0]["probability"] += 0.01
    sample[1]["probability"] -= 0.02
    assert deviation(sample, scorer, films.__getitem__) == pytest.approx(0.02, abs=1e-6)


def test_a_sample_that_cannot_be_read_again_is_refused(
    films: dict[str, bytes], scorer: Scorer, sample: Sample
) -> None:
    def gone(name: str) -> bytes:
        raise FileNotFoundError(name)

    first = sample[0]["sha256"]
    with pytest.raises(PromotionError, match="no pinned sample"):
        deviation([], scorer, films.__getitem__)
    with pytest.raises(PromotionError, match=f"{first[:12]} is not here: bring the data"):
        deviation(sample, scorer, gone)
    with pytest.raises(PromotionError, match=f"{first[:12]} has changed"):
        deviation(sample, scorer, lambda name: films[name] + b"more")
