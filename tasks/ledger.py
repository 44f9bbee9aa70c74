"""Append-only files of JSON lines."""

import fcntl
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


def append(path: Path, **entry: Any) -> None:
    """Adds one line with the time, whole even beside other writers."""
    path.parent.mkdir(parents=True, exist_ok=True)
    line = json.dumps({"time": datetime.now(UTC).isoformat(timespec="seconds")} | entry)
    with path.open("a", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(line + "\n")
        file.flush()
        os.fsync(file.fileno())
