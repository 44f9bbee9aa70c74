"""Every refusal as problem JSON (RFC 9457)."""

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from pneumo_core.errors import EvaluationError, ImageError, NoFilmError

MEDIA_TYPE = "application/problem+json"


class Problem(BaseModel):
    type: str
    title: str
    status: int
    detail: str


class ProblemResponse(JSONResponse):
    media_type = MEDIA_TYPE


def problem(
    status: int, detail: str, kind: str | None = None, headers: dict[str, str] | None = None
) -> ProblemResponse:
    """Return a refusal.

    Args:
        kind: name of the fault, where the status is not enough.
    """
    content = Problem(
        type=f"urn:pneumo:problem:{kind}" if kind else "about:blank",
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
    )
    return ProblemResponse(content.model_dump(), status, headers)


def described(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the refusals with these statuses for `responses=` of a route."""
    content = {MEDIA_TYPE: {"schema": Problem.model_json_schema()}}
    return {
        status: {"description": HTTPStatus(status).phrase, "content": content}
        for status in statuses
    }


def answer_with_problems(app: FastAPI) -> None:
    @app.exception_handler(ImageError)
    async def no_image(_: Request, error: ImageError) -> ProblemResponse:
        kind = "not-a-chest-film" if isinstance(error, NoFilmError) else "not-an-image"
        return problem(422, str(error), kind)

    @app.exception_handler(EvaluationError)
    async def not_explainable(_: Request, error: EvaluationError) -> ProblemResponse:
        return problem(501, str(error), "not-explainable")

    @app.exception_handler(RequestValidationError)
    async def not_as_described(_: Request, error: RequestValidationError) -> ProblemResponse:
        faults = (f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        return problem(422, "; ".join(faults), "not-as-described")

    @app.exception_handler(HTTPException)
    async def refused(_: Request, error: HTTPException) -> ProblemResponse:
        return problem(error.status_code, error.detail, headers=dict(error.headers or {}))

    @app.exception_handler(Exception)
    async def defect(_: Request, __: Exception) -> ProblemResponse:
        return problem(500, "This is a defect of pneumo; its log has the details.")
