"""What a run says at its end."""

import pytest

from flows.runs import outcome


@pytest.mark.parametrize(
    ("reasons", "told"),
    [
        (["a", "b"], ["  - a", "  - b"]),
        (["a", "b", "c", "d", "e"], ["  - a", "  - b", "  - c", "  - and 2 more"]),
    ],
)
def test_a_refusal_has_a_line_for_each_of_its_first_reasons(
    reasons: list[str], told: list[str]
) -> None:
    decision = {"cell": "cell", "outcome": "refused", "reasons": reasons, "in_use": "3"}
    assert outcome._decision("champion", decision) == [
        "champion: cell, refused",
        *told,
        "  in use: version 3; each gate: pneumo promote --dry-run",
    ]


def test_a_promotion_is_one_line() -> None:
    decision = {"cell": "cell", "outcome": "promoted", "reasons": ["all 21 gates hold"]}
    assert outcome._decision("champion", decision) == [
        "champion: cell, promoted (all 21 gates hold)"
    ]
