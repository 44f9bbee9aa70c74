from pathlib import Path
from typing import get_args

import pytest
from prefect.client.schemas import State
from prefect.states import Completed, Crashed, Failed

from flows.runs.pipeline import Profile, end_of

ROOT = Path(__file__).parents[3]


def test_the_profiles_of_the_form_are_those_of_the_folder() -> None:
    assert sorted(get_args(Profile)) == sorted(p.stem for p in (ROOT / "profiles").glob("*.yaml"))


@pytest.mark.parametrize(
    ("stages", "end", "message"),
    [
        ([Completed(), Completed()], "COMPLETED", "2 stages run"),
        ([Completed(), Failed(message="No films.")], "FAILED", "No films."),
        ([Crashed(message="Told to go.")], "CRASHED", "Told to go."),
        ([Failed(message="No films."), Crashed(message="Gone.")], "CRASHED", "No films. Gone."),
        (
            [Failed(message=f"Stage {name} failed. {why}") for name, why in ("ax", "by", "cx")],
            "FAILED",
            "Stage a and Stage c failed. x Stage b failed. y",
        ),
    ],
)
def test_a_run_ends_as_its_stages_did(stages: list[State], end: str, message: str) -> None:
    found = end_of(stages)
    assert (found.type.value, found.message) == (end, message)
