"""The events of a training while it runs, and their receivers.

A sink is any callable that takes an event; the core knows the three here, the edge adds MLflow.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from pneumo_core.atomic import replacing_file
from pneumo_core.progress import bar

CURVE_COLUMNS = ["epoch", "learning_rate", "train_loss", "val_loss", "val_auroc"]


@dataclass(frozen=True)
class Started:
    cell: str
    num_epochs: int
    num_images: int  # of an epoch
    num_trainable: int
    from_epoch: int  # epochs done before: above 0, or with images, resumed from a checkpoint
    from_image: int  # images done of the next one


@dataclass(frozen=True)
class Cached:
    """The features at the cut are computed, or were found (seconds near 0)."""

    num_images: int
    seconds: float


@dataclass(frozen=True)
class Stepped:
    epoch: int
    step: int
    num_images: int


@dataclass(frozen=True)
class MicroBatchHalved:
    """Memory ran out: each batch is now computed in parts of this size, to the same effect."""

    micro_batch_size: int


@dataclass(frozen=True)
class Stalled:
    """A wait for data that has not ended yet."""

    since_unix_time_s: float
    seconds: float  # until now


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
    """How long each part took; the parts do not overlap, and the rest is other work."""

    seconds: float
    cache_s: float
    steps_s: float
    waiting_s: float  # for data
    validation_s: float


Event = Started | Cached | Stepped | MicroBatchHalved | Stalled | EpochEnded | Finished
Sink = Callable[[Event], None]


def ignore(_: Event) -> None:
    """Take an event and do nothing."""


class ProgressBar:
    """One bar for the whole cell, with images a second and the time left.

    What needs a look, and where the time went, are lines of their own, in a log file too.
    """

    def __init__(self) -> None:
        self._bar: tqdm[None] | None = None

    def __call__(self, event: Event) -> None:
        match event:
            case MicroBatchHalved() | Stalled():
                tqdm.write(_sentence(event))
            case Started():
                if event.from_epoch or event.from_image:
                    tqdm.write(_sentence(event))
                self._bar = bar(
                    total=event.num_epochs * event.num_images,
                    initial=event.from_epoch * event.num_images + event.from_image,
                    desc=event.cell,
                    unit="img",
                )
            case Stepped() if self._bar is not None:
                self._bar.update(event.num_images)
            case EpochEnded() if self._bar is not None:
                self._bar.set_postfix_str(
                    f"epoch {event.epoch}, val AUROC {event.val_auroc:.4f}, "
                    f"{event.data_wait_share:.0%} waiting for data"
                )
            case Finished() if self._bar is not None:
                self._bar.close()
                tqdm.write(_sentence(event))


def _sentence(event: Started | MicroBatchHalved | Stalled | Finished) -> str:
    match event:
        case Started():
            done = event.from_epoch + event.from_image / event.num_images
            return (
                f"{event.cell} goes on from its checkpoint: {done:.4g} of {event.num_epochs} epochs"
            )
        case MicroBatchHalved():
            return (
                f"Out of memory: batches are computed in parts of {event.micro_batch_size}; "
                "what is learnt from each stays the same."
            )
        case Stalled():
            since = time.strftime("%H:%M:%S", time.localtime(event.since_unix_time_s))
            return f"Waiting for data since {since} ({event.seconds:.0f} s): is the disk stuck?"
        case Finished():
            return (
                f"{event.seconds:.0f} s: cache {event.cache_s:.0f}, steps {event.steps_s:.0f}, "
                f"waiting for data {event.waiting_s:.0f}, validation {event.validation_s:.0f}"
            )


class JsonLines:
    """A sink that appends each event except the steps, with the time, to a file."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path

    def __call__(self, event: Event) -> None:
        if isinstance(event, Stepped):
            return
        line = {"event": type(event).__name__, "unix_time_s": time.time()} | asdict(event)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


class LearningCurve:
    """A sink that rewrites a CSV file at each epoch with the epochs of this process so far."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._epochs: list[EpochEnded] = []

    def __call__(self, event: Event) -> None:
        if isinstance(event, EpochEnded):
            self._epochs.append(event)
            write_learning_curve([asdict(epoch) for epoch in self._epochs], self._path)


def write_learning_curve(epochs: Sequence[Mapping[str, float]], path: Path) -> None:
    """Write a row an epoch: epoch, learning_rate, train_loss, val_loss, val_auroc."""
    with replacing_file(path) as draft:
        pd.DataFrame(epochs)[CURVE_COLUMNS].to_csv(draft, index=False)
