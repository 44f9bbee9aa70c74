import pytest
from prefect.client.schemas import State
from prefect.states import Completed, Crashed, Failed

from flows.runs.pipeline import end_of


@pytest.mark.parametrize(
    ("stages", "end", "message"),
    [
        ([Completed(), Completed()], "COMPLETED", "2 stages run"),
        ([Completed(), Failed(message="No films.")], "FAILED", "No films."),
        ([Crashed(message="Told to go.")], "CRASHED", "Told to go."),
        ([Failed(message="No films."), Crashed(message="Gone.")], "CRASHED", "No films. Gone."),
    ],
)
def test_a_run_ends_as_its_stages_did(stages: list[State], end: str, message: str) -> None:
    found = end_of(stages)
    assert (found.type.value, found.message) == (end, message)
