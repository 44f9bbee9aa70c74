"""Lines that nobody loses, and that nobody changes unseen."""

import errno
import json
import resource
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pneumo_core.errors import LedgerError
from tasks import ledger, paths, signing


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "ledger" / "lines.jsonl"
    for number in range(5):
        ledger.append(path, number=number)
    return path


def test_every_writer_leaves_one_whole_line(tmp_path: Path) -> None:
    path = tmp_path / "ledger" / "lines.jsonl"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: ledger.append(path, number=number, why="x" * 5000), range(40)))
    entries = [json.loads(line) for line in path.read_text().splitlines()]
    assert sorted(entry["number"] for entry in entries) == list(range(40))
    assert all(entry["time"].endswith("+00:00") for entry in entries)
    assert ledger.broken_links(path) == []


def test_lines_come_back_in_order_under_their_hashes(path: Path) -> None:
    last = ledger.append(path, number=5)
    assert [entry["number"] for entry in ledger.read(path)] == list(range(6))
    assert last in ledger.line_hashes(path)
    assert len(ledger.line_hashes(path)) == 6


def test_a_line_whose_end_an_editor_took_stays_a_line_of_its_own(path: Path) -> None:
    path.write_bytes(path.read_bytes().rstrip(b"\n"))
    ledger.append(path, number=5)
    assert [entry["number"] for entry in ledger.read(path)] == list(range(6))
    assert ledger.broken_links(path) == []


def test_a_ledger_not_begun_is_empty_and_whole(tmp_path: Path) -> None:
    assert ledger.read(tmp_path / "none") == []
    assert ledger.broken_links(tmp_path / "none") == []


@pytest.mark.parametrize(
    ("change", "broken"),
    [
        (
            lambda lines: [
                *lines[:2],
                lines[2].replace(b'"number": 2', b'"number": 7'),
                *lines[3:],
            ],
            4,
        ),
        (lambda lines: lines[:1] + lines[2:], 2),
        (lambda lines: lines[1:], 1),
        (lambda lines: [lines[1], lines[0], *lines[2:]], 1),
        (lambda lines: [*lines[:3], lines[1], *lines[3:]], 4),
    ],
    ids=["altered", "taken out", "first taken out", "exchanged", "put in"],
)
def test_tampering_breaks_the_chain(path: Path, change: object, broken: int) -> None:
    lines = path.read_bytes().splitlines()
    path.write_bytes(b"\n".join(change(lines)) + b"\n")  # type: ignore[operator]
    assert ledger.broken_links(path)[0] == broken


@settings(max_examples=200, derandomize=True, deadline=None)
@given(draw=st.data())
def test_any_change_is_found(tmp_path_factory: pytest.TempPathFactory, draw: st.DataObject) -> None:
    """By the chain, or by the hash of the last line, which the registry keeps."""
    path = tmp_path_factory.mktemp("ledger") / "lines.jsonl"
    last = [ledger.append(path, number=number) for number in range(4)][-1]
    before = path.read_bytes()
    start, end = sorted(draw.draw(st.tuples(*[st.integers(0, len(before))] * 2)))
    other = st.binary(max_size=3) | st.sampled_from(before.splitlines(keepends=True))
    after = before[:start] + draw.draw(other) + before[end:]
    assume(after.splitlines() != before.splitlines())
    path.write_bytes(after)
    with suppress(LedgerError):
        assert ledger.broken_links(path) or last not in ledger.line_hashes(path)


def test_a_line_that_is_earlier_than_the_one_before_is_found(tmp_path: Path) -> None:
    """Whoever sets the clock back, or writes the file anew with consistent hashes."""
    path = tmp_path / "lines.jsonl"
    for day in (1, 3, 2, 2, 4):
        ledger.append(path, time=f"2026-11-0{day}T00:00:00+00:00")
    assert ledger.broken_links(path) == []
    assert ledger.earlier_lines(path) == [3]
    ledger.append(path, time="yesterday")
    with pytest.raises(LedgerError, match="no time that can be read"):
        ledger.earlier_lines(path)


def test_a_full_disk_leaves_no_half_line(path: Path) -> None:
    """The limit on file sizes stands in for the disk: the same write falls short."""
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 20, limits[1]))
    try:
        with pytest.raises(OSError, match="No space left") as full:
            ledger.append(path, number=5)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (full.value.errno, full.value.filename) == (errno.ENOSPC, str(path))
    assert path.read_bytes() == before
    ledger.append(path, number=5)
    assert ledger.broken_links(path) == []


def test_what_json_has_no_word_for_is_not_written(path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(ValueError, match="JSON compliant"):
        ledger.append(path, deviation=float("nan"))
    assert path.read_bytes() == before


def test_each_line_is_signed_and_another_line_under_its_signature_is_found(
    path: Path, key_pair: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    key = key_pair("anna")
    monkeypatch.setattr(paths, "TRUSTED_KEYS", key.parent / "trusted_keys")
    monkeypatch.setenv(signing.PRIVATE_KEY, str(key))
    ledger.append(path, number=5)
    ledger.append(path, number=6)
    assert [ledger.signer(entry) for entry in ledger.read(path)] == [None] * 5 + ["anna"] * 2
    assert ledger.false_signatures(path) == []
    path.write_bytes(path.read_bytes().replace(b'"number": 5', b'"number": 7'))
    assert ledger.false_signatures(path) == [f"{path}: line 6: altered after anna signed it"]


@pytest.mark.parametrize("line", [b"{half", b"[]", b"\xff"])
def test_a_line_that_is_no_entry_is_named(path: Path, line: bytes) -> None:
    with path.open("ab") as file:
        file.write(line + b"\n")
    with pytest.raises(LedgerError, match="Line 6"):
        ledger.read(path)
