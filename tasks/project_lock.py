"""One run at a time in a project, held by the operating system: a killed run cannot keep it."""

from collections.abc import Iterator
from contextlib import contextmanager

from filelock import FileLock, Timeout

from pneumo_core.errors import BusyError
from tasks import paths

LOCK = paths.SCRATCH / "locks" / "run.lock"


@contextmanager
def hold_project() -> Iterator[None]:
    """May be entered again by who holds it.

    Raises:
        BusyError: another run is going on.
    """
    LOCK.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(LOCK.resolve(), is_singleton=True)
    try:
        lock.acquire(blocking=False)
    except Timeout as error:
        raise BusyError("Another run is going on in this project: wait for its end.") from error
    try:
        yield
    finally:
        lock.release()


def is_held_elsewhere() -> bool:
    """Whether another process holds the project, on this machine or on one that shares it."""
    try:
        with FileLock(LOCK.resolve(), blocking=False):
            return False
    except Timeout:
        return True
