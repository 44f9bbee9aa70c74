"""A run in a terminal: one table of its stages, renewed as they compute. The log goes to a file."""

import logging
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from prefect.client.schemas import State
from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from tasks import paths
from tasks.graph.dvc_stage import progress_file

LINES_AROUND = 3  # of the terminal, that the table leaves free
FORMAT = "%(asctime)s %(levelname)s %(message)s"


@dataclass
class _Row:
    stage: str
    begun: float | None = None
    ended: float | None = None
    state: State[Any] | None = None
    spinner: Spinner = field(default_factory=lambda: Spinner("dots"))

    @property
    def waits(self) -> bool:
        return self.begun is None

    @property
    def succeeded(self) -> bool:
        return self.state is not None and self.state.is_completed()

    def cells(self) -> tuple[Spinner | Text, str, str, Text]:
        """Return a mark, the stage, its seconds, and what it does or found."""
        if self.begun is None:
            return Text("·"), self.stage, "", Text("waits", "dim")
        seconds = f"{(self.ended or time.monotonic()) - self.begun:.0f} s"
        if self.state is None:
            return (
                self.spinner,
                self.stage,
                seconds,
                Text(self._short(_line_of(self.stage)) or "runs"),
            )
        said = str(self.state.message or self.state.name)
        if not self.succeeded:
            return Text("✗", "bold red"), self.stage, seconds, Text(said, "red")
        result = said.rpartition(" (")[0]  # without its seconds
        return Text("✓", "green"), self.stage, seconds, Text(self._short(result))

    def _short(self, line: str) -> str:
        """Return it without the names that stand beside it."""
        kind, _, part = self.stage.partition("@")
        return line.removeprefix(f"{kind}: ").removeprefix(f"{part} ")


def _line_of(stage: str) -> str:
    with suppress(FileNotFoundError):
        return progress_file(stage).read_text("utf-8")
    return ""


class Stages:
    """The stages of a run, in the order in which the table shows them."""

    def __init__(self, stages: Sequence[str]) -> None:
        self._rows = {stage: _Row(stage) for stage in stages}

    def started(self, stage: str) -> None:
        """Count a stage's seconds from now: one that runs elsewhere, where its file is not seen."""
        self._rows[stage].begun = time.monotonic()

    def ended(self, stage: str, state: State[Any]) -> None:
        row = self._rows[stage]
        row.ended, row.state = time.monotonic(), state
        row.begun = row.begun or row.ended

    def table(self, max_rows: int) -> Table:
        """Return the table. Where there are too many stages, those that are done are counted first,
        then those that wait."""
        rows = list(self._rows.values())
        for row in rows:
            if row.waits and progress_file(row.stage).exists():
                row.begun = time.monotonic()
        done = [row for row in rows if row.succeeded]
        waiting = [row for row in rows if row.waits]
        too_many = len(rows) + 2 - max_rows if len(rows) > max_rows else 0
        hidden = done[:too_many]
        hidden_waiting = waiting[max(0, len(waiting) - too_many + len(hidden)) :]
        grid = Table.grid(padding=(0, 1), expand=True)
        grid.add_column(width=1)
        grid.add_column(no_wrap=True)
        grid.add_column(justify="right", no_wrap=True)
        grid.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
        if hidden:
            grid.add_row("✓", f"{len(hidden)} more", "", "done")
        for row in rows:
            if row not in hidden and row not in hidden_waiting:
                grid.add_row(*row.cells())
        if hidden_waiting:
            grid.add_row("·", f"{len(hidden_waiting)} more", "", "wait")
        return grid


class _Renewed:
    """The table as it is when the terminal draws it."""

    def __init__(self, stages: Stages, console: Console) -> None:
        self._stages, self._console = stages, console

    def __rich__(self) -> Table:
        return self._stages.table(self._console.height - LINES_AROUND)


@contextmanager
def shown(stages: Sequence[str]) -> Iterator[Stages]:
    """Yield the stages to tell what happens to them; a terminal shows their table meanwhile."""
    found = Stages(stages)
    for stage in stages:
        progress_file(stage).unlink(missing_ok=True)  # of a run that was killed
    if not sys.stderr.isatty():
        yield found
        return
    console = Console(stderr=True)
    with Live(_Renewed(found, console), console=console, refresh_per_second=4):
        yield found


@contextmanager
def log_to_file() -> Iterator[None]:
    """In a terminal, send the log to `paths.RUN_LOG`; warnings and worse are shown as well.

    Elsewhere the log stays what Prefect prints.
    """
    if not sys.stderr.isatty():
        yield
        return
    paths.RUN_LOG.parent.mkdir(parents=True, exist_ok=True)
    to_file = logging.FileHandler(paths.RUN_LOG, "w", "utf-8")
    to_file.setFormatter(logging.Formatter(FORMAT))
    root = logging.getLogger()
    before, root.handlers = root.handlers, [to_file, _Warnings(logging.WARNING)]
    try:
        yield
    finally:
        root.handlers = before
        to_file.close()


class _Warnings(logging.Handler):
    """Print above the table, which takes the place of the standard streams while it is shown."""

    def emit(self, record: logging.LogRecord) -> None:
        print(record.getMessage(), file=sys.stderr)
