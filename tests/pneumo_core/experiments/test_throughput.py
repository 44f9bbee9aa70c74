"""The benchmark on timm's smallest model: what it states, not how fast this machine is."""

import json
import math
from collections.abc import Callable
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path

import pytest
import torch

from pneumo_core.arrays import Gray
from pneumo_core.experiments import plain_loop, throughput
from pneumo_core.experiments.plain_loop import Job, plain_steps, timm_steps
from pneumo_core.experiments.throughput import CellRates, benchmark
from pneumo_core.experiments.throughput_figures import as_markdown, chart
from pneumo_core.params import Params, Strategy

# A DataLoader's worker that is stopped while it reads may say so when its loader is collected.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <function _MultiProcessingDataLoaderIter"
    ":pytest.PytestUnraisableExceptionWarning"
)

SMALL = "test_efficientnet"
FIRST_KEYS = [
    "model",
    "strategy",
    "image_size",
    "batch",
    "device",
    "images_per_second",
    "ceiling_images_per_second",
    "plain_images_per_second",
]


@pytest.fixture(scope="module")
def rows(params_with: Callable[..., Params]) -> list[CellRates]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plain_loop, "NUM_WORKERS", 1)
        patch.setattr(throughput, "NUM_BATCHES", 4)
        cells = {"models": [SMALL], "strategies": ["frozen", "full"], "batch_size": 4}
        return benchmark(params_with(train=cells | {"weights": "packaged"}).train, 32, 0.05)


def test_every_cell_has_a_row_with_the_keys_that_were_promised(rows: list[CellRates]) -> None:
    found = json.loads(json.dumps([asdict(row) for row in rows], allow_nan=False))
    assert [list(row)[: len(FIRST_KEYS)] for row in found] == [FIRST_KEYS] * 2
    assert [(row.model, row.strategy) for row in rows] == [(SMALL, "frozen"), (SMALL, "full")]
    for row in rows:
        rates = [value for key, value in asdict(row).items() if key.endswith("_per_second")]
        assert len(rates) == 6
        assert all(0 < rate < math.inf for rate in rates)
        assert (row.image_size, row.batch, row.num_films) == (32, 4, 16)


def test_a_cached_cell_counts_the_making_of_its_cache(rows: list[CellRates]) -> None:
    frozen, full = rows
    assert (frozen.cached, full.cached) == (True, False)
    assert (frozen.epochs, full.epochs) == (30, 3)  # of params.yaml
    assert frozen.images_per_second < frozen.steady_images_per_second
    assert frozen.ceiling_images_per_second < frozen.steady_ceiling_images_per_second
    assert full.images_per_second == full.steady_images_per_second


def test_table_has_a_line_a_cell(rows: list[CellRates]) -> None:
    first = replace(rows[0], images_per_second=2400.0, ceiling_images_per_second=3000.0)
    first = replace(first, plain_images_per_second=100.0, steady_images_per_second=9000.0)
    head, rule, line, *_ = as_markdown([replace(first, timm_images_per_second=70.0)]).splitlines()
    assert head.count("|") == rule.count("|") == line.count("|")
    assert line == f"| {SMALL} | frozen | 30 | 2,400 | 3,000 | 80% | 100 | 24.0 | 70 | 9,000 |"


def test_chart_names_every_cell_and_repeats(rows: list[CellRates]) -> None:
    drawn = chart(rows)
    assert "frozen, 30 epochs" in drawn
    assert "full, 3 epochs" in drawn
    assert drawn == chart(rows)


@pytest.mark.parametrize("steps", [plain_steps, timm_steps])
def test_steps_of_others_train_on_jpegs_and_do_not_end(
    steps: Callable[..., object],
    tmp_path: Path,
    film: Callable[..., Gray],
    encode: Callable[..., bytes],
    write_tree: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(plain_loop, "NUM_WORKERS", 1)
    places = [f"{label}/{seed}.jpeg" for label in ("NORMAL", "PNEUMONIA") for seed in range(4)]
    films = write_tree(
        tmp_path, {place: encode(film(seed), "JPEG") for seed, place in enumerate(places)}
    )
    job = Job(films, SMALL, Strategy.FROZEN, 32, 4, 1e-3)
    assert list(islice(steps(job, torch.device("cpu")), 5)) == [4] * 5
