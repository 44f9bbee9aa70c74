import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pneumo_core.arrays import Images
from pneumo_core.params import Strategy, TrainParams
from pneumo_core.training import waiting
from pneumo_core.training.context import Cell
from pneumo_core.training.events import EpochEnded, Event, Finished, Stalled
from pneumo_core.training.training import LabelledFilms, train
from pneumo_core.training.waiting import DataWait


class SlowStack:
    """Films on a disk that hangs at one of the reads."""

    def __init__(self, images: Images, hangs_at: int, seconds: float) -> None:
        self._images, self._reads_left, self._seconds = images, hangs_at, seconds
        self.shape = images.shape

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, rows: Any) -> Any:
        self._reads_left -= 1
        if self._reads_left == 0:
            time.sleep(self._seconds)
        return self._images[rows]


@pytest.mark.slow
def test_a_disk_that_hangs_is_told_of_once_while_it_hangs(
    monkeypatch: pytest.MonkeyPatch,
    films: LabelledFilms,
    val_films: LabelledFilms,
    settings: Callable[..., TrainParams],
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(waiting, "STALLED_AFTER_S", 0.5)
    slow = LabelledFilms(SlowStack(films.images, hangs_at=5, seconds=1.5), films.labels)
    events: list[Event] = []
    cell = Cell("test_efficientnet", Strategy.FULL)
    train(cell, slow, val_films, settings(epochs=2), tmp_path, events.append)
    (stalled,) = (event for event in events if isinstance(event, Stalled))
    assert 0.5 <= stalled.seconds < 1.5
    assert stalled.since_unix_time_s < time.time()
    shares = [event.data_wait_share for event in events if isinstance(event, EpochEnded)]
    assert max(shares) > 0.3
    assert next(event for event in events if isinstance(event, Finished)).waiting_s > 1.5


def test_waits_are_added_up_and_short_ones_not_told() -> None:
    events: list[Event] = []
    with DataWait(events.append) as wait:
        for _ in range(3):
            with wait.timed():
                time.sleep(0.01)
    assert 0.03 <= wait.seconds < 1
    assert not events
