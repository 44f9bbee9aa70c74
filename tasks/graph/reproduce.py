"""`dvc repro` of one stage, which leaves why DVC itself failed: `python -m tasks.graph.reproduce`.

DVC's exit code does not say it, and what it prints goes to the terminal.
"""

import logging
import sys

from dvc.cli import main

from tasks.graph import failures


class Recorder(logging.Handler):
    """Record what DVC logs as the reason of its end, unless the stage itself left one."""

    def __init__(self, stage: str) -> None:
        super().__init__(logging.ERROR)
        self._stage = stage

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if error is not None and failures.recall(self._stage) is None:
            failures.record(self._stage, error)


if __name__ == "__main__":
    stage, *options = sys.argv[1:]
    logging.getLogger("dvc").addHandler(Recorder(stage))
    # The flag waits for DVC's lock beside other stages; it must stand before `repro`.
    sys.exit(main(["--wait-for-lock", "repro", "--single-item", stage, *options]))
