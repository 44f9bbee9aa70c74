"""What a training tells while it runs, and who listens.

A sink is any callable that takes an event; the core knows the two here, the edge adds MLflow.
"""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from tqdm import tqdm


@dataclass(frozen=True)
class Started:
    cell: str
    num_epochs: int
    num_steps_per_epoch: int
    num_trainable: int
    from_epoch: int  # above 0: resumed from a checkpoint


@dataclass(frozen=True)
class Cached:
    """Features at the cut are there: computed now, or found (seconds near 0)."""

    num_images: int
    seconds: float


@dataclass(frozen=True)
class Stepped:
    epoch: int
    step: int
    num_images: int


@dataclass(frozen=True)
class EpochEnded:
    epoch: int  # from 1
    learning_rate: float
    train_loss: float
    val_loss: float
    val_auroc: float
    images_per_second: float
    data_wait_share: float  # part of the epoch's time spent waiting for data, 0..1


@dataclass(frozen=True)
class Finished:
    seconds: float


Event = Started | Cached | Stepped | EpochEnded | Finished
Sink = Callable[[Event], None]


class ProgressBar:
    """One bar for the whole cell, with images a second and the time left."""

    def __init__(self) -> None:
        self._bar: tqdm[None] | None = None

    def __call__(self, event: Event) -> None:
        if isinstance(event, Started):
            total = event.num_epochs * event.num_steps_per_epoch
            done = event.from_epoch * event.num_steps_per_epoch
            self._bar = tqdm(total=total, initial=done, desc=event.cell, disable=None, unit="batch")
        elif self._bar is not None and isinstance(event, Stepped):
            self._bar.update()
        elif self._bar is not None and isinstance(event, EpochEnded):
            self._bar.set_postfix_str(
                f"epoch {event.epoch}, {event.images_per_second:.0f} img/s, "
                f"val AUROC {event.val_auroc:.4f}"
            )
        elif self._bar is not None and isinstance(event, Finished):
            self._bar.close()


class JsonLines:
    """Appends each event but the steps, with the time, to a file."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path

    def __call__(self, event: Event) -> None:
        if isinstance(event, Stepped):
            return
        line = {"event": type(event).__name__, "unix_time_s": time.time()} | asdict(event)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
