from collections.abc import Callable, Iterator
from threading import Event
from typing import Any

import numpy as np
import pytest

from flows.serving.micro_batches import MicroBatches
from pneumo_core.arrays import Gray, Images

MAX_FILMS = 4


def _film(value: int) -> Gray:
    return np.full((2, 2), value, np.uint8)


def _levels(images: Images) -> list[Any]:
    return [int(pixels[0, 0]) for pixels in images]


def _negatives(images: Images) -> list[Any]:
    return [-level for level in _levels(images)]


@pytest.fixture
def sizes() -> list[int]:
    return []


@pytest.fixture
def batches(sizes: list[int]) -> Iterator[MicroBatches]:
    started = MicroBatches(MAX_FILMS, sizes.append)
    yield started
    started.close()
    assert not started.is_alive


@pytest.fixture
def hold(batches: MicroBatches) -> Callable[[], Event]:
    """Keeps the thread busy until the event that it returns is set."""

    def occupy() -> Event:
        begun, go_on = Event(), Event()

        def wait(images: Images) -> list[Any]:
            begun.set()
            assert go_on.wait(10)
            return _levels(images)

        batches.submit(wait, _film(0))
        assert begun.wait(10)
        return go_on

    return occupy


def test_one_film_does_not_wait_for_others(batches: MicroBatches, sizes: list[int]) -> None:
    assert batches.submit(_levels, _film(7)).result(10) == 7
    assert sizes == [1]


def test_what_waits_is_read_together_and_answered_one_by_one(
    batches: MicroBatches, sizes: list[int], hold: Callable[[], Event]
) -> None:
    go_on = hold()
    answers = [batches.submit(_levels, _film(n)) for n in range(10)]
    go_on.set()
    assert [answer.result(10) for answer in answers] == list(range(10))
    assert sizes == [1, 4, 4, 2]


def test_other_work_is_a_batch_of_its_own_in_its_turn(
    batches: MicroBatches, sizes: list[int], hold: Callable[[], Event]
) -> None:
    go_on = hold()
    works = [_levels, _levels, _negatives, _levels]
    answers = [batches.submit(work, _film(n)) for n, work in enumerate(works)]
    go_on.set()
    assert [answer.result(10) for answer in answers] == [0, 1, -2, 3]
    assert sizes == [1, 2, 1, 1]


def test_failure_reaches_those_who_wait_and_nobody_else(
    batches: MicroBatches, hold: Callable[[], Event]
) -> None:
    def fail(_: Images) -> list[Any]:
        raise MemoryError("too large")

    go_on = hold()
    failing = [batches.submit(fail, _film(n)) for n in range(2)]
    after = batches.submit(_levels, _film(5))
    go_on.set()
    for answer in failing:
        with pytest.raises(MemoryError, match="too large"):
            answer.result(10)
    assert after.result(10) == 5


def test_film_whose_sender_has_left_is_not_read(
    batches: MicroBatches, sizes: list[int], hold: Callable[[], Event]
) -> None:
    go_on = hold()
    kept, left = (batches.submit(_levels, _film(n)) for n in (1, 2))
    assert left.cancel()
    go_on.set()
    assert kept.result(10) == 1
    assert sizes == [1, 1]


def test_closing_answers_what_waits(batches: MicroBatches, hold: Callable[[], Event]) -> None:
    go_on = hold()
    answers = [batches.submit(_levels, _film(n)) for n in range(6)]
    go_on.set()
    batches.close()
    assert [answer.result(0) for answer in answers] == list(range(6))
