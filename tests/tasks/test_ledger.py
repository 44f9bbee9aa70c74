"""Lines that nobody loses."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tasks import ledger


def test_every_writer_leaves_one_whole_line(tmp_path: Path) -> None:
    path = tmp_path / "ledger" / "lines.jsonl"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: ledger.append(path, number=number, why="x" * 5000), range(40)))
    entries = [json.loads(line) for line in path.read_text().splitlines()]
    assert sorted(entry["number"] for entry in entries) == list(range(40))
    assert all(entry["time"].endswith("+00:00") for entry in entries)
