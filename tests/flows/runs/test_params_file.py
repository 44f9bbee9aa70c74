"""Single values of `--set`, as a shell hands them over."""

from typing import Any

import pytest

from flows.runs import params_file


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a#b", "a#b"),
        ("a #b", "a #b"),
        ("#b", "#b"),
        ("'a #b'", "a #b"),
        ("[a#b, 'c #d']", ["a#b", "c #d"]),
        ("null", None),
        ("0.5", 0.5),
    ],
)
def test_a_number_sign_is_a_part_of_the_value(text: str, expected: Any) -> None:
    content = {"ingest": {"source": "films"}}
    params_file._assign(content, f"ingest.source={text}")
    assert content == {"ingest": {"source": expected}}
