"""Two real processes, as torchrun starts them, against one."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from pneumo_core.errors import TrainingError
from pneumo_core.params import Strategy, TrainParams
from pneumo_core.training.context import Cell
from pneumo_core.training.events import ignore
from pneumo_core.training.processes import Processes
from pneumo_core.training.training import LabelledFilms, TrainedModel, train

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]

SCRIPT = """
import json
from pathlib import Path
import numpy as np
import pandas as pd
from pneumo_core.models import bundled_model
from pneumo_core.training.events import JsonLines
from pneumo_core.params import Strategy, TrainParams
from pneumo_core.training.processes import joined
from pneumo_core.training.context import Cell
from pneumo_core.training.training import LabelledFilms, train

asked = json.loads(Path("asked.json").read_text())
films = [LabelledFilms(np.load(f"{name}.npy"), np.arange(num) % 2) for name, num in asked["films"]]
cell = Cell(asked["architecture"], Strategy(asked["strategy"]))
params = TrainParams.model_validate(asked["params"])
with joined() as processes:
    assert processes.size == 2
    sink = JsonLines(Path(f"events-{processes.rank}.jsonl"))
    trained = train(cell, *films, params, Path("var"), sink)
    bundled_model.write_weights(trained.model, Path(f"weights-{processes.rank}.safetensors"))
    pd.DataFrame(trained.history).to_csv(f"history-{processes.rank}.csv", index=False)
"""


State = dict[str, torch.Tensor]


@pytest.fixture
def train_both_ways(
    films: LabelledFilms, val_films: LabelledFilms, tmp_path: Path
) -> Callable[[Cell, TrainParams], tuple[TrainedModel, list[State]]]:
    """Trains in this process, and in two; gives the model, and the weights of each of the two."""

    def both(cell: Cell, params: TrainParams) -> tuple[TrainedModel, list[State]]:
        one = train(cell, films, val_films, params, tmp_path / "one", ignore)
        np.save(tmp_path / "train.npy", films.images)
        np.save(tmp_path / "val.npy", val_films.images)
        asked = {"films": [["train", 24], ["val", 8]], "params": params.model_dump(mode="json")}
        asked |= {"architecture": cell.architecture, "strategy": cell.strategy.value}
        (tmp_path / "asked.json").write_text(json.dumps(asked))
        (tmp_path / "script.py").write_text(SCRIPT)
        launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "script.py"]
        result = subprocess.run(
            [sys.executable, *launch],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""},
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 0, result.stderr
        return one, [load_file(tmp_path / f"weights-{rank}.safetensors") for rank in (0, 1)]

    return both


@pytest.mark.parametrize(
    ("architecture", "strategy"),
    [("test_efficientnet_ln", Strategy.FULL), ("test_efficientnet", Strategy.FROZEN)],
)
def test_two_processes_learn_what_one_learns(
    architecture: str,
    strategy: Strategy,
    train_both_ways: Callable[..., tuple[TrainedModel, list[State]]],
    settings: Callable[..., TrainParams],
    tmp_path: Path,
) -> None:
    params = settings(epochs=2, batch_size=7, class_weights=[1.0, 2.5])
    one, two = train_both_ways(Cell(architecture, strategy), params)
    for rank, weights in enumerate(two):
        history = pd.read_csv(tmp_path / f"history-{rank}.csv").to_dict("records")
        for ours, theirs in zip(one.history, history, strict=True):
            assert theirs == pytest.approx(ours, abs=1e-5)
        for name, tensor in one.model.state_dict().items():
            torch.testing.assert_close(weights[name], tensor, rtol=1e-3, atol=1e-4, msg=name)
    assert len(list((tmp_path / "var" / "checkpoints").iterdir())) == 1


def test_batch_norm_that_trains_ends_with_statistics_of_all_films(
    train_both_ways: Callable[..., tuple[TrainedModel, list[State]]],
    settings: Callable[..., TrainParams],
) -> None:
    """One epoch at a rate of nearly nothing: the statistics alone move."""
    params = settings(lr=1e-9, epochs=1, batch_size=24)
    one, two = train_both_ways(Cell("test_efficientnet", Strategy.FULL), params)
    for name, tensor in one.model.state_dict().items():
        assert torch.equal(two[0][name], two[1][name]), name
        if name == "bn1.running_mean":  # of the first layer, which sees the same films
            torch.testing.assert_close(two[0][name], tensor, rtol=1e-4, atol=1e-6)


def test_each_row_is_of_one_process() -> None:
    rows = np.arange(7)
    parts = [Processes(rank, 3).shard(rows) for rank in range(3)]
    assert np.concatenate(parts).tolist() == rows.tolist()
    assert {len(part) for part in parts} == {2, 3}


def test_fewer_films_than_processes_are_an_error(
    monkeypatch: pytest.MonkeyPatch,
    films: LabelledFilms,
    settings: Callable[..., TrainParams],
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(Processes, "here", lambda: Processes(0, 4))
    cell = Cell("test_efficientnet", Strategy.FULL)
    with pytest.raises(TrainingError, match="too few films for 4"):
        train(cell, films, films, settings(batch_size=3), tmp_path, ignore)
