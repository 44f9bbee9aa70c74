import time
from collections.abc import Iterator

import pytest
import torch

from pneumo_core.experiments import stopwatch
from pneumo_core.experiments.stopwatch import Rates, Stopwatch, TimeIsUp, measure
from pneumo_core.training.events import Cached, EpochEnded, Stepped

CPU = torch.device("cpu")


def test_the_cache_is_shared_by_the_epochs() -> None:
    """100 films: 2 s to look at each once, then 5 epochs of 0.1 s: 500 in 2.5 s."""
    assert Rates(step=1000, cache=50).over(5) == pytest.approx(200)
    assert Rates(step=1000).over(5) == 1000


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1.0
        monkeypatch.setattr(time, "perf_counter", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_steps_are_measured_without_those_that_warm_up(clock: Clock) -> None:
    def steps() -> Iterator[int]:
        for step in range(1000):
            clock.now += 7.0 if step < stopwatch.NUM_WARM_UP_STEPS else 0.5
            yield 10

    assert measure(steps(), 3.0, CPU) == pytest.approx(20)


def test_a_step_longer_than_the_time_is_measured_whole(clock: Clock) -> None:
    def steps() -> Iterator[int]:
        while True:
            clock.now += 50
            yield 10

    assert measure(steps(), 3.0, CPU) == pytest.approx(0.2)


def _ended(epoch: int, rate: float) -> EpochEnded:
    return EpochEnded(epoch, 1e-3, 0.5, 0.5, 0.9, rate, 0.0)


def _step(watch: Stopwatch, clock: Clock, epoch: int, step: int, seconds: float) -> None:
    clock.now += seconds
    watch(Stepped(epoch, step, 10))


def test_whole_epochs_count_but_the_first(clock: Clock) -> None:
    watch = Stopwatch(1.0, CPU)
    watch(Cached(100, 4.0))
    for epoch, rate in ((1, 10.0), (2, 100.0), (3, 300.0)):
        _step(watch, clock, epoch, 0, 0.1)
        _step(watch, clock, epoch, 1, 0.1)
        watch(_ended(epoch, rate))
    assert watch.rates == Rates(pytest.approx(150), 25)  # 2 epochs of 1 film: 1/100 + 1/300 s


def test_time_is_up_within_the_first_epoch(clock: Clock) -> None:
    watch = Stopwatch(1.0, CPU)
    for step, seconds in enumerate((5.0, 0.5, 0.25)):
        _step(watch, clock, 1, step, seconds)
    with pytest.raises(TimeIsUp):
        _step(watch, clock, 1, 3, 0.5)
    assert watch.rates == Rates(pytest.approx(30 / 1.25))  # not the step that warms up


def test_time_is_up_later(clock: Clock) -> None:
    watch = Stopwatch(1.0, CPU)
    _step(watch, clock, 1, 0, 0.1)
    watch(_ended(1, 10.0))
    _step(watch, clock, 2, 0, 3.0)
    with pytest.raises(TimeIsUp):
        _step(watch, clock, 2, 1, 0.1)
    assert watch.rates == Rates(10.0)
