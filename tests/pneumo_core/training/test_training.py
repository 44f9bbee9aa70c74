from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from pneumo_core import versions
from pneumo_core.errors import TrainingError
from pneumo_core.models.strategies import freeze
from pneumo_core.models.weights import create_model
from pneumo_core.params import Strategy, TrainParams
from pneumo_core.training import batches, context, epochs
from pneumo_core.training.context import Cell
from pneumo_core.training.events import Cached, EpochEnded, Event, Finished, Started, Stepped
from pneumo_core.training.extractor import Extractor
from pneumo_core.training.training import LabelledFilms, TrainedModel, train

pytestmark = pytest.mark.slow

SMALL = "test_efficientnet"  # timm's own for tests: 0.1 million parameters, with batch-norm
NUM_EPOCHS = 4


class KilledError(Exception):
    pass


@pytest.fixture
def run(
    tmp_path: Path, films: LabelledFilms, val_films: LabelledFilms
) -> Callable[..., tuple[TrainedModel, list[Event]]]:
    """Trains the small model; each `scratch` is a fresh machine.

    `kill_after`: an epoch, or an epoch and a step of it.
    """

    def run_cell(
        params: TrainParams,
        strategy: Strategy = Strategy.FULL,
        scratch: str = "scratch",
        kill_after: int | tuple[int, int] | None = None,
        train_films: LabelledFilms = films,
    ) -> tuple[TrainedModel, list[Event]]:
        events: list[Event] = []

        def sink(event: Event) -> None:
            events.append(event)
            if isinstance(event, EpochEnded) and event.epoch == kill_after:
                raise KilledError
            if isinstance(event, Stepped) and (event.epoch, event.step) == kill_after:
                raise KilledError

        cell = Cell(SMALL, strategy)
        trained = train(cell, train_films, val_films, params, tmp_path / scratch, sink)
        trained.checkpoint.forget()
        return trained, events

    return run_cell


def _of(events: list[Event], kind: type[Any]) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


def _assert_same(first: TrainedModel, second: TrainedModel) -> None:
    assert first.history == second.history
    for name, tensor in first.model.state_dict().items():
        assert torch.equal(second.model.state_dict()[name], tensor), name


def test_eight_films_are_learnt_by_heart(
    settings: Any, films: LabelledFilms, tmp_path: Path
) -> None:
    eight = LabelledFilms(films.images[:8], films.labels[:8])
    params = settings(lr=3e-3, epochs=30, label_smoothing=0.0, weight_decay=0.0)
    cell = Cell(SMALL, Strategy.FULL)
    trained = train(cell, eight, eight, params, tmp_path, lambda _: None)
    assert trained.history[0]["train_loss"] > 0.3
    assert trained.history[-1]["train_loss"] < 0.05
    assert trained.history[-1]["val_auroc"] == 1.0


@pytest.mark.parametrize("strategy", list(Strategy))
@pytest.mark.parametrize("kill_after", [1, 3])
def test_killed_and_resumed_ends_as_if_nothing_had_happened(
    run: Any, settings: Any, strategy: Strategy, kill_after: int
) -> None:
    params = settings()
    undisturbed, _ = run(params, strategy, scratch="a")
    with pytest.raises(KilledError):
        run(params, strategy, scratch="b", kill_after=kill_after)
    resumed, events = run(params, strategy, scratch="b")
    assert _of(events, Started)[0].from_epoch == kill_after
    assert [event.epoch for event in _of(events, EpochEnded)] == list(
        range(kill_after + 1, NUM_EPOCHS + 1)
    )
    _assert_same(resumed, undisturbed)


@pytest.fixture
def dropout(monkeypatch: pytest.MonkeyPatch) -> None:
    """The small model with something to draw in each step."""

    def create(*arguments: Any) -> Any:
        model, provenance = create_model(*arguments)
        model.drop_rate = 0.5
        return model, provenance

    monkeypatch.setattr(context, "create_model", create)


@pytest.mark.usefixtures("dropout")
@pytest.mark.parametrize("kill_after", [(1, 1), (3, 2)])
def test_killed_within_an_epoch_it_goes_on_within_it(
    monkeypatch: pytest.MonkeyPatch, run: Any, settings: Any, kill_after: tuple[int, int]
) -> None:
    undisturbed, _ = run(settings(), scratch="a")
    monkeypatch.setattr(epochs, "SAVE_EVERY_S", 0)
    with pytest.raises(KilledError):
        run(settings(), scratch="b", kill_after=kill_after)
    resumed, events = run(settings(), scratch="b")
    (started,) = _of(events, Started)
    epoch, step = kill_after
    assert (started.from_epoch, started.from_image) == (epoch - 1, step * 8)  # that step is lost
    assert (_of(events, Stepped)[0].epoch, _of(events, Stepped)[0].step) == kill_after
    _assert_same(resumed, undisturbed)


def test_finished_training_that_was_not_forgotten_is_only_told_again(
    settings: Any, films: LabelledFilms, val_films: LabelledFilms, tmp_path: Path
) -> None:
    """So it is killed between its end and the writing of its weights."""
    cell, events = Cell(SMALL, Strategy.FULL), list[Event]()
    first = train(cell, films, val_films, settings(), tmp_path, lambda _: None)
    again = train(cell, films, val_films, settings(), tmp_path, events.append)
    _assert_same(again, first)
    assert not _of(events, Stepped)


def test_it_ends_early_where_validation_no_longer_improves(run: Any, settings: Any) -> None:
    impatient = settings(epochs=8, patience_epochs=2)
    ended, _ = run(impatient, scratch="a")
    losses = [entry["val_loss"] for entry in ended.history]
    assert 2 < len(losses) < 8
    assert min(losses[-2:]) >= min(losses[:-2])
    assert all(min(losses[n - 2 : n]) < min(losses[: n - 2]) for n in range(3, len(losses)))
    with pytest.raises(KilledError):
        run(impatient, scratch="b", kill_after=len(losses))
    resumed, events = run(impatient, scratch="b")
    assert not _of(events, Stepped)
    _assert_same(resumed, ended)


def test_with_patience_the_weights_are_those_of_the_best_epoch(run: Any, settings: Any) -> None:
    """Not those of the last, after which it was patient for nothing."""
    impatient = settings(lr=3e-2, epochs=8, patience_epochs=2, schedule="step")
    ended, _ = run(impatient, scratch="a")
    losses = [entry["val_loss"] for entry in ended.history]
    best = losses.index(min(losses)) + 1
    assert best < len(losses)
    assert ended.kept == ended.history[best - 1]
    until_best, _ = run(settings(lr=3e-2, epochs=best, schedule="step"), scratch="b")
    for name, tensor in until_best.model.state_dict().items():
        assert torch.equal(ended.model.state_dict()[name], tensor), name
    with pytest.raises(KilledError):
        run(impatient, scratch="c", kill_after=len(losses) - 1)
    _assert_same(run(impatient, scratch="c")[0], ended)


def test_training_repeats_and_follows_its_seed(run: Any, settings: Any) -> None:
    first, _ = run(settings(), scratch="a")
    again, _ = run(settings(), scratch="b")
    other, _ = run(settings(seed=1), scratch="c")
    _assert_same(first, again)
    assert other.history != first.history


def test_each_epoch_has_all_films_in_an_order_of_its_own(
    monkeypatch: pytest.MonkeyPatch, run: Any, settings: Any, films: LabelledFilms
) -> None:
    seen: list[bytes] = []
    known = [pixels.tobytes() for pixels in films.images]
    convert = batches.to_input

    def watching(gray_BHW: torch.Tensor, *rest: Any) -> torch.Tensor:
        seen.extend(pixels.numpy().tobytes() for pixels in gray_BHW)
        return convert(gray_BHW, *rest)

    monkeypatch.setattr(batches, "to_input", watching)
    run(settings(epochs=2))
    example = 2  # films, by which it was found that the model has no cut
    order = [known.index(pixels) for pixels in seen if pixels in known][example:]
    assert sorted(order[:24]) == sorted(order[24:]) == list(range(24))
    assert order[:24] != order[24:]


def test_checkpoint_of_another_run_is_not_resumed(
    run: Any, settings: Any, films: LabelledFilms
) -> None:
    fewer = LabelledFilms(films.images[:20], films.labels[:20])
    for changed in ({"params": settings(lr=2e-3)}, {"train_films": fewer}):
        with pytest.raises(KilledError):
            run(settings(), kill_after=2)
        _, events = run(**({"params": settings()} | changed))
        assert _of(events, Started)[0].from_epoch == 0


@pytest.mark.parametrize("change", ["version", "code"])
def test_a_training_killed_before_an_upgrade_starts_over(
    monkeypatch: pytest.MonkeyPatch, run: Any, settings: Any, change: str
) -> None:
    """Else epochs of two libraries, or of two schedules in code, would make one model."""
    with pytest.raises(KilledError):
        run(settings(), kill_after=3)
    if change == "version":
        monkeypatch.setattr(versions, "version", lambda name: f"another {name}")
    else:
        monkeypatch.setattr(versions, "_code_sha256", lambda module: f"another {module}")
    _, events = run(settings())
    assert _of(events, Started)[0].from_epoch == 0


@pytest.mark.parametrize(
    "changed",
    [
        {"schedule": "step"},
        {"epochs": 5},
        {"patience_epochs": 3},
        {"weight_decay": 0.02},
        {"class_weights": [1.0, 2.0]},
        {"label_smoothing": 0.0},
        {"optimizer": "adam"},
        {"deterministic": True},
    ],
)
def test_a_training_killed_before_a_setting_changed_starts_over(
    run: Any, settings: Any, changed: dict[str, Any]
) -> None:
    with pytest.raises(KilledError):
        run(settings(), kill_after=1)
    _, events = run(settings(**changed))
    assert _of(events, Started)[0].from_epoch == 0


def test_what_the_cell_does_not_depend_on_leaves_its_checkpoint_good(
    run: Any, settings: Any
) -> None:
    with pytest.raises(KilledError):
        run(settings(), kill_after=2)
    others = {"models": ["resnet50", SMALL], "frozen": {"lr": 1, "epochs": 9}}
    _, events = run(settings(feature_cache_gb=3, strategies=["full"], **others))
    assert _of(events, Started)[0].from_epoch == 2


def test_forgotten_training_leaves_no_checkpoint(run: Any, settings: Any, tmp_path: Path) -> None:
    with pytest.raises(KilledError):
        run(settings(), kill_after=1)
    (saved,) = (tmp_path / "scratch/checkpoints").iterdir()
    saved.with_name(f".{saved.name}.half").touch()  # of a kill while it was written
    run(settings())
    assert list((tmp_path / "scratch/checkpoints").iterdir()) == []


@pytest.mark.parametrize("strategy", [Strategy.FROZEN, Strategy.PARTIAL])
def test_cached_features_give_the_result_of_whole_films(
    monkeypatch: pytest.MonkeyPatch, run: Any, settings: Any, strategy: Strategy
) -> None:
    """Features of torch; those of ONNX Runtime are equal up to rounding: test_extractor.py."""
    monkeypatch.setattr(Extractor, "_session", None)
    cached, cached_events = run(settings(), strategy, scratch="a")
    monkeypatch.setattr(batches, "cut", lambda *_: None)
    whole, whole_events = run(settings(), strategy, scratch="b")
    assert len(_of(cached_events, Cached)) == 1
    assert not _of(whole_events, Cached)
    for first, second in zip(cached.history, whole.history, strict=True):
        assert first == pytest.approx(second, abs=1e-5)
    for name, tensor in cached.model.state_dict().items():
        torch.testing.assert_close(
            tensor, whole.model.state_dict()[name], rtol=1e-5, atol=1e-5, msg=name
        )


@pytest.mark.parametrize("strategy", [Strategy.FROZEN, Strategy.PARTIAL])
def test_only_what_the_strategy_trains_changes(run: Any, settings: Any, strategy: Strategy) -> None:
    trained, _ = run(settings(), strategy)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        start = create_model(SMALL, "none", 2)[0]
    freeze(start, strategy)
    frozen = {name for name, p in start.named_parameters() if not p.requires_grad}
    state = trained.model.state_dict()
    assert all(torch.equal(state[name], start.state_dict()[name]) for name in frozen)
    assert torch.equal(state["bn1.running_mean"], start.state_dict()["bn1.running_mean"])
    assert not torch.equal(state["classifier.weight"], start.classifier.weight)


@pytest.mark.parametrize("epochs", [1, 3])
@pytest.mark.parametrize("batch_size", [8, 24])
def test_loss_that_is_not_finite_names_the_key(
    run: Any, settings: Any, epochs: int, batch_size: int
) -> None:
    params = settings(lr=1e30, epochs=epochs, batch_size=batch_size, schedule="step")
    with pytest.raises(
        TrainingError, match=r"loss is (nan|inf).*Lower train\.full\.lr \(now 1e\+30"
    ):
        run(params)


def test_events_tell_the_whole_story_in_order(run: Any, settings: Any) -> None:
    trained, events = run(settings(), Strategy.FROZEN)
    kinds = [type(event) for event in events if not isinstance(event, Stepped)]
    assert kinds == [Cached, Started, *[EpochEnded] * NUM_EPOCHS, Finished]
    (started,) = _of(events, Started)
    assert started == Started(f"{SMALL}-frozen", NUM_EPOCHS, 24, 514, 0, 0)
    assert sum(step.num_images for step in _of(events, Stepped)) == 24 * NUM_EPOCHS
    for event, entry in zip(_of(events, EpochEnded), trained.history, strict=True):
        assert {name: getattr(event, name) for name in entry} == entry
        assert event.images_per_second > 0
        assert 0 < event.data_wait_share < 1
    (end,) = _of(events, Finished)
    parts = (end.cache_s, end.steps_s, end.waiting_s, end.validation_s)
    assert min(parts) > 0
    assert sum(parts) < end.seconds


def test_step_schedule_is_a_tenth_every_seven_epochs(run: Any, settings: Any) -> None:
    trained, _ = run(settings(lr=1e-3, epochs=15, schedule="step"), Strategy.FROZEN)
    rates = [entry["learning_rate"] for entry in trained.history]
    assert rates == pytest.approx([1e-3] * 7 + [1e-4] * 7 + [1e-5])


def test_one_cycle_warms_up_and_comes_down(run: Any, settings: Any) -> None:
    trained, _ = run(settings(lr=1e-3, epochs=15, schedule="one_cycle"), Strategy.FROZEN)
    rates = [entry["learning_rate"] for entry in trained.history]
    assert max(rates) <= 1e-3
    assert rates[1:] == sorted(rates[1:], reverse=True)
    assert 0 <= rates[-1] < 2e-5


def test_deterministic_training_is_the_same_on_the_cpu(run: Any, settings: Any) -> None:
    usual, _ = run(settings(), scratch="a")
    exact, _ = run(settings(deterministic=True), scratch="b")
    _assert_same(exact, usual)


def test_a_model_gets_the_weights_that_are_named_for_it(run: Any, settings: Any) -> None:
    trained, _ = run(settings(models=[SMALL], weights={SMALL: "none"}, epochs=1))
    assert trained.provenance.origin == "random start"


def test_class_weights_and_label_smoothing_reach_the_loss(run: Any, settings: Any) -> None:
    losses = [
        run(settings(epochs=1, **change), scratch=str(i))[0].history[0]["train_loss"]
        for i, change in enumerate([{}, {"class_weights": [1, 9]}, {"label_smoothing": 0.5}])
    ]
    assert len(set(losses)) == 3


def test_training_leaves_the_random_state_of_the_process_alone(run: Any, settings: Any) -> None:
    torch.manual_seed(5)
    expected = torch.get_rng_state()
    run(settings(epochs=1))
    assert torch.equal(torch.get_rng_state(), expected)


def test_features_are_computed_once_for_all_runs(
    monkeypatch: pytest.MonkeyPatch, run: Any, settings: Any, tmp_path: Path
) -> None:
    sizes: list[int] = []
    compute = Extractor.__call__

    def counting(extractor: Extractor, rows: torch.Tensor) -> torch.Tensor:
        sizes.append(len(rows))
        return compute(extractor, rows)

    monkeypatch.setattr(Extractor, "__call__", counting)
    run(settings(), Strategy.FROZEN)
    files = {path.name: path.stat().st_ino for path in (tmp_path / "scratch/features").iterdir()}
    # Those of a partial cell too, which lie on the way.
    assert (len(files), sum(sizes)) == (4, 2 * (24 + 8))
    sizes.clear()
    run(settings(lr=5e-3), Strategy.FROZEN)  # another run, the same films and trunk
    assert sizes == []
    again = {path.name: path.stat().st_ino for path in (tmp_path / "scratch/features").iterdir()}
    assert again == files
