"""Images a second: of any steps that never end, and of a training that is stopped in its middle."""

import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch

from pneumo_core.training.events import Cached, EpochEnded, Event, Stepped

NUM_WARM_UP_STEPS = 2


@dataclass(frozen=True)
class Rates:
    """Images a second of a step and of the making of features."""

    step: float
    cache: float | None = None  # None: nothing is cached, every step runs the whole model

    def over(self, epochs: int) -> float:
        """Return the rate over some epochs, with the making of the cache."""
        if self.cache is None:
            return self.step
        return 1 / (1 / (epochs * self.cache) + 1 / self.step)


def measure(steps: Iterator[int], seconds: float, device: torch.device) -> float:
    """Return images a second; each step yields its number of images."""
    for _ in range(NUM_WARM_UP_STEPS):
        next(steps)
    synchronize(device)
    begun, num_images = time.perf_counter(), 0
    while num_images == 0 or time.perf_counter() - begun < seconds:
        num_images += next(steps)
    synchronize(device)
    return num_images / (time.perf_counter() - begun)


def synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


class TimeIsUp(Exception):  # noqa: N818 (it ends a measurement, it is no error)
    pass


@dataclass
class Stopwatch:
    """A sink that lets a training run for some seconds and then ends it by TimeIsUp."""

    seconds: float
    device: torch.device
    _cache: float | None = None
    _of_epochs: list[float] = field(default_factory=list)
    _begun: float | None = None  # the first step of the training
    _first: float = 0.0  # the first step of this epoch
    _num_images: int = 0  # in the steps after it

    def __call__(self, event: Event) -> None:
        if isinstance(event, Cached):
            self._cache = event.num_images / event.seconds
        elif isinstance(event, EpochEnded):
            self._of_epochs.append(event.images_per_second)
        elif isinstance(event, Stepped):
            self._stepped(event)

    def _stepped(self, event: Stepped) -> None:
        now = time.perf_counter()
        self._begun = self._begun or now
        if event.step == 0:
            self._first, self._num_images = now, 0
            return
        self._num_images += event.num_images
        if now - self._begun > self.seconds:
            synchronize(self.device)
            if not self._of_epochs:
                self._of_epochs = [self._num_images / (time.perf_counter() - self._first)]
            raise TimeIsUp

    @property
    def rates(self) -> Rates:
        """Return the rates of whole epochs after the first, or of what was measured."""
        counted = self._of_epochs[1:] or self._of_epochs
        return Rates(statistics.harmonic_mean(counted), self._cache)
