import pytest
from prefect.client.schemas import State
from prefect.states import Completed, Crashed, Failed, Pending

from flows.pipeline import end_of

WAITS = Pending(name="NotReady", message="Upstream did not reach a COMPLETED state.")


@pytest.mark.parametrize(
    ("stages", "end", "message"),
    [
        ([Completed(), Completed()], "COMPLETED", "2 stages run"),
        ([Completed(), Failed(message="No films."), WAITS], "FAILED", "No films."),
        ([Crashed(message="Told to go."), WAITS], "CRASHED", "Told to go."),
        ([Failed(message="No films."), Crashed(message="Gone.")], "CRASHED", "No films. Gone."),
    ],
)
def test_a_run_ends_as_its_stages_did(stages: list[State], end: str, message: str) -> None:
    found = end_of(stages)
    assert (found.type.value, found.message) == (end, message)
