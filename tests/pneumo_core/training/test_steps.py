"""Steps in parts are steps of the whole batch."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from pneumo_core.errors import TrainingError
from pneumo_core.models.weights import create_model
from pneumo_core.params import Strategy, TrainParams
from pneumo_core.training import context
from pneumo_core.training.context import Cell
from pneumo_core.training.events import Event, MicroBatchHalved, Stepped
from pneumo_core.training.training import LabelledFilms, TrainedModel, train

SMALL = "test_efficientnet_ln"  # without batch-norm, which sees one part at a time

Run = Callable[[int], tuple[TrainedModel, list[Event]]]


@pytest.fixture
def run_with_room_for(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    films: LabelledFilms,
    val_films: LabelledFilms,
    settings: Callable[..., TrainParams],
) -> Run:
    """Trains on a machine whose memory holds so many films in a step, and 7 in a batch."""

    def run(num_films: int) -> tuple[TrainedModel, list[Event]]:
        def refuse(model: torch.nn.Module, inputs: tuple[torch.Tensor]) -> None:
            if model.training and len(inputs[0]) > num_films:
                raise torch.OutOfMemoryError("a fake")

        def create(*arguments: Any) -> Any:
            model, provenance = create_model(*arguments)
            model.register_forward_pre_hook(refuse)
            return model, provenance

        monkeypatch.setattr(context, "create_model", create)
        params = settings(epochs=2, batch_size=7, class_weights=[1.0, 2.5], label_smoothing=0.1)
        events: list[Event] = []
        scratch = tmp_path / str(num_films)
        cell = Cell(SMALL, Strategy.FULL)
        return train(cell, films, val_films, params, scratch, events.append), events

    return run


@pytest.mark.parametrize(("num_films", "halved"), [(4, [4]), (3, [4, 2]), (1, [4, 2, 1])])
def test_a_batch_too_large_for_the_memory_has_the_same_effect_in_parts(
    run_with_room_for: Run, num_films: int, halved: list[int]
) -> None:
    whole, whole_events = run_with_room_for(100)
    parts, events = run_with_room_for(num_films)
    assert [e.micro_batch_size for e in events if isinstance(e, MicroBatchHalved)] == halved
    assert [e for e in events if isinstance(e, Stepped)] == [
        e for e in whole_events if isinstance(e, Stepped)
    ]
    for first, second in zip(whole.history, parts.history, strict=True):
        assert first == pytest.approx(second, abs=1e-5)
    for name, tensor in whole.model.state_dict().items():
        torch.testing.assert_close(
            parts.model.state_dict()[name], tensor, rtol=1e-3, atol=1e-4, msg=name
        )


def test_memory_for_not_even_one_film_is_an_error(run_with_room_for: Run) -> None:
    with pytest.raises(TrainingError, match="single film"):
        run_with_room_for(0)
