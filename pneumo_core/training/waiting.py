"""Time spent waiting for data, and waits that do not end."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from pneumo_core.training.events import Sink, Stalled

STALLED_AFTER_S = 60.0


class DataWait:
    """Sums waits; while it is entered, a thread sends an event for one that takes too long.

    Films are mapped from disk: a disk or a share that hangs raises no error, it only takes time.
    """

    def __init__(self, sink: Sink) -> None:
        self.seconds = 0.0
        self._sink = sink
        self._since: float | None = None
        self._done = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._watcher.join()

    @contextmanager
    def timed(self) -> Iterator[None]:
        self._since = begun = time.perf_counter()
        try:
            yield
        finally:
            self._since = None
            self.seconds += time.perf_counter() - begun

    def _watch(self) -> None:
        reported: float | None = None
        while not self._done.wait(STALLED_AFTER_S / 10):
            since = self._since
            if since is None or since == reported:
                continue
            waited = time.perf_counter() - since
            if waited >= STALLED_AFTER_S:
                reported = since
                self._sink(Stalled(time.time() - waited, waited))
