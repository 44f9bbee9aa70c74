"""The service compared with its own description."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import positive_data_acceptance

pytestmark = pytest.mark.slow

# Whether bytes are a film is nothing that a schema can say.
NOT_OURS: list[Any] = [positive_data_acceptance]

WITH_DATA = {"/v1/predict", "/v1/saliency"}
PATHS = WITH_DATA | {"/v1/model", "/healthz", "/readyz", "/metrics"}


@pytest.fixture(scope="module")
def described(service: str) -> Any:
    return schemathesis.openapi.from_url(f"{service}/openapi.json")


@pytest.mark.parametrize(
    ("path", "mode"),
    [(path, GenerationMode.POSITIVE) for path in sorted(PATHS)]
    + [(path, GenerationMode.NEGATIVE) for path in sorted(WITH_DATA)],
)
def test_any_request_gets_an_answer_as_described(
    described: Any, path: str, mode: GenerationMode
) -> None:
    """With data as the description asks for, and with other data."""
    (method,) = described[path]

    @settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
    @given(described[path][method].as_strategy(generation_mode=mode))
    def check(case: schemathesis.Case) -> None:
        case.call_and_validate(excluded_checks=NOT_OURS)

    check()


@pytest.mark.parametrize("path", sorted(WITH_DATA))
def test_film_gets_an_answer_as_described(
    described: Any, film_bytes: Callable[..., bytes], path: str
) -> None:
    blank = film_bytes(np.zeros((99, 99), np.uint8))
    for data, status in ((film_bytes(0), 200), (blank, 422), (b"text", 422)):
        case = described[path]["POST"].Case(body={"file": data}, media_type="multipart/form-data")
        answer = case.call_and_validate(excluded_checks=NOT_OURS)
        assert answer.status_code == status


def test_description_names_every_route_and_problem(described: Any) -> None:
    paths = described.raw_schema["paths"]
    assert set(paths) == PATHS
    responses = paths["/v1/predict"]["post"]["responses"]
    assert set(responses) == {"200", "400", "408", "413", "422", "503"}
    for status, response in responses.items():
        kind = "application/json" if status == "200" else "application/problem+json"
        assert list(response["content"]) == [kind]
