"""One thread does the computing, for as many films at a time as are waiting for it."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Condition, Thread
from typing import Any

import numpy as np

from pneumo_core.arrays import Gray, Images

Work = Callable[[Images], list[Any]]  # films [N, H, W] to N answers


@dataclass(frozen=True)
class Job:
    work: Work
    pixels: Gray
    answer: Future[Any] = field(default_factory=Future)


class MicroBatches:
    """The films that wait when the thread is free are its next batch; none waits for more films.

    Args:
        observe: called with the number of films of each batch.
    """

    def __init__(self, max_films: int, observe: Callable[[int], None]) -> None:
        self._max_films, self._observe = max_films, observe
        self._waiting: deque[Job] = deque()
        self._changed = Condition()
        self._closed = False
        self._thread = Thread(target=self._run, name="micro-batches", daemon=True)
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def submit(self, work: Work, pixels: Gray) -> Future[Any]:
        """Return the result of `work` for this film; films with the same `work` share a batch."""
        job = Job(work, pixels)
        with self._changed:
            self._waiting.append(job)
            self._changed.notify()
        return job.answer

    def close(self) -> None:
        """Answer what is waiting, then end the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while batch := self._next_batch():
            wanted = [job for job in batch if job.answer.set_running_or_notify_cancel()]
            if wanted:
                self._observe(len(wanted))
                _answer(wanted)

    def _next_batch(self) -> list[Job]:
        """Return the first jobs with the same work; none once all is done and closed."""
        batch: list[Job] = []
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            while self._waiting and len(batch) < self._max_films:
                if batch and self._waiting[0].work != batch[0].work:
                    break
                batch.append(self._waiting.popleft())
        return batch


def _answer(batch: list[Job]) -> None:
    try:
        answers = batch[0].work(np.stack([job.pixels for job in batch]))
    except Exception as error:  # any error goes to those who wait
        for job in batch:
            job.answer.set_exception(error)
        return
    for job, answer in zip(batch, answers, strict=True):
        job.answer.set_result(answer)
