"""Why a stage failed, left in `var/` by its process or by its DVC for whoever had DVC run it.

DVC reports that a stage failed, and no more.
"""

import json
import socket
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from http.client import IncompleteRead
from pathlib import Path

from urllib3.exceptions import ResponseError

from pneumo_core.atomic import write_json
from tasks import explanations, paths

TOO_MANY_REQUESTS, FIRST_SERVER_ERROR = 429, 500


@dataclass(frozen=True)
class Failure:
    message: str
    may_pass: bool  # trying again may help


def record(stage: str, error: BaseException) -> None:
    write_json(_file(stage), asdict(Failure(explanations.in_one_line(error), may_pass(error))))


def recall(stage: str) -> Failure | None:
    """None where the stage's process ended without a word, as one that is killed does."""
    try:
        return Failure(**json.loads(_file(stage).read_text("utf-8")))
    except FileNotFoundError:
        return None


def forget(stage: str) -> None:
    _file(stage).unlink(missing_ok=True)


def may_pass(error: BaseException) -> bool:
    """Whether something beyond this machine did not answer, or answered that it could not now.

    The clients of S3, of the hubs and of MLflow raise unrelated kinds; each names what it met.
    """
    return any(_is_outage(each) for each in _chain(error))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        causes = (each for each in error.args if isinstance(each, BaseException))  # as urllib's do
        error = error.__cause__ or error.__context__ or next(causes, None)


def _is_outage(error: BaseException) -> bool:
    if isinstance(error, socket.gaierror):
        return error.errno == socket.EAI_AGAIN
    # ResponseError: every try was answered so that a client tries again by itself, as MLflow's.
    met = isinstance(error, ConnectionError | TimeoutError | IncompleteRead | ResponseError)
    return met or _answers_later(error)


def _answers_later(error: BaseException) -> bool:
    """An answer over HTTP: of urllib, of requests and of the hubs, of botocore."""
    answer = getattr(error, "response", None)
    if isinstance(answer, dict):
        code = answer.get("ResponseMetadata", {}).get("HTTPStatusCode")
    else:
        code = getattr(answer, "status_code", None) or getattr(error, "code", None)
    return isinstance(code, int) and (code == TOO_MANY_REQUESTS or code >= FIRST_SERVER_ERROR)


def _file(stage: str) -> Path:
    return paths.SCRATCH / "failures" / f"{stage}.json"
