import json
import re
from pathlib import Path

import pytest

from pneumo_core.training.events import (
    EpochEnded,
    Event,
    Finished,
    JsonLines,
    MicroBatchHalved,
    ProgressBar,
    Stalled,
    Started,
    Stepped,
)

STORY: list[Event] = [
    Started("net-full", 2, 100, 5, 1, 60),
    Stepped(2, 3, 20),
    MicroBatchHalved(8),
    Stalled(1e9, 61.4),
    Stepped(2, 4, 20),
    EpochEnded(2, 0.1, 0.5, 0.4, 0.9, 100.0, 0.25),
    Finished(9.6, 1.2, 5.1, 2.2, 1.0),
]


def _tell(monkeypatch: pytest.MonkeyPatch, terminal: bool) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal, raising=False)
    bar = ProgressBar()
    for event in STORY:
        bar(event)


def test_terminal_shows_images_a_second_and_time_left(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _tell(monkeypatch, terminal=True)
    shown = capsys.readouterr().err
    assert "160/200" in shown
    assert "200/200" in shown
    assert re.search(r"\[\d\d:\d\d<\S+, +\S+img/s", shown)
    assert "epoch 2, val AUROC 0.9000, 25% waiting for data" in shown


def test_what_needs_a_look_is_said_in_a_log_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _tell(monkeypatch, terminal=False)
    out, err = capsys.readouterr()
    assert err == ""
    resumed, memory, stalled, end = out.strip().splitlines()
    assert resumed == "net-full goes on from its checkpoint: 1.6 of 2 epochs"
    assert "parts of 8" in memory
    assert re.match(r"Waiting for data since \d\d:\d\d:\d\d \(61 s\): is the disk stuck\?", stalled)
    assert end == "10 s: cache 1, steps 5, waiting for data 2, validation 1"


def test_json_lines_hold_all_but_the_steps(tmp_path: Path) -> None:
    sink = JsonLines(tmp_path / "events" / "net.jsonl")
    for event in STORY:
        sink(event)
    lines = [json.loads(line) for line in (tmp_path / "events/net.jsonl").read_text().splitlines()]
    assert [line["event"] for line in lines] == [
        type(event).__name__ for event in STORY if not isinstance(event, Stepped)
    ]
    assert lines[-1]["waiting_s"] == 2.2
