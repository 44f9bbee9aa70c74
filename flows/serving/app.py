"""The routes: parse, ask the core, answer. No film outlives its request."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import anyio
from fastapi import Depends, FastAPI, File, Request, Response, UploadFile
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartParser

import pneumo_core
from flows.serving.answers import Alive, ModelInUse, Prediction, Ready
from flows.serving.current_model import CurrentModel
from flows.serving.micro_batches import MicroBatches
from flows.serving.middleware import Gate, Login, Watched
from flows.serving.models import Model
from flows.serving.problems import answer_with_problems, described
from flows.serving.telemetry import Telemetry
from pneumo_core.arrays import Gray
from pneumo_core.errors import NoFilmError
from pneumo_core.inference import reader as core
from pneumo_core.inference.reader import Reader

PAGE = Path(__file__).parent / "page"
PALETTE = Path(pneumo_core.__file__).parent / "templates" / "palette.css"
FILM_PROBLEMS = described(400, 408, 413, 422, 503)


async def one_file(request: Request) -> None:
    """Refuse several films in one request, of which only the last would be answered."""
    if len((await request.form()).getlist("file")) > 1:
        raise HTTPException(422, "Send one file in a request.")


Film = Annotated[UploadFile, File(description="A chest film: JPEG, PNG, DICOM, ...")]


@dataclass(frozen=True)
class Limits:
    room: int = 32  # films at a time, from upload to answer; more get 503
    room_each: int = 16  # of one caller with a token; more get 429
    max_bytes: int = 40_000_000  # of an upload; all of them at once fit in memory
    max_upload_s: float = 30
    max_batch: int = 16
    poll_s: float = 10  # between looks at the alias


def create_app(
    model: Model,
    look: Callable[[Model], Model | None],
    limits: Limits | None = None,
    token_file: Path | None = None,
) -> FastAPI:
    """Return the service of a model.

    Args:
        token_file: of `flows.serving.tokens`; None lets everyone in who reaches the service.
    """
    limits = limits or Limits()
    telemetry = Telemetry()
    current = CurrentModel(model, look, telemetry)
    batches = MicroBatches(limits.max_batch, telemetry.batch)
    MultiPartParser.spool_max_size = limits.max_bytes + 1  # or Starlette writes films to disk

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        following = asyncio.create_task(current.follow(limits.poll_s))
        yield
        following.cancel()
        batches.close()

    app = FastAPI(
        title="pneumo",
        version=version("pneumo"),
        summary="Probability of pneumonia on a chest film. For research, not for diagnosis.",
        docs_url=None,  # their pages fetch scripts from elsewhere
        redoc_url=None,
        responses=described(401, 429) if token_file else None,
        lifespan=lifespan,
    )
    answer_with_problems(app)
    app.add_middleware(
        Gate,
        room=limits.room,
        room_each=limits.room_each,
        max_bytes=limits.max_bytes,
        max_upload_s=limits.max_upload_s,
    )
    if token_file is not None:
        app.add_middleware(Login, token_file=token_file)
    app.add_middleware(Watched, telemetry=telemetry)
    _add_reading(app, current, batches, telemetry)
    _add_health(app, current, batches, telemetry)
    _add_page(app)
    return app


def _add_reading(
    app: FastAPI, current: CurrentModel, batches: MicroBatches, telemetry: Telemetry
) -> None:
    decoders = anyio.CapacityLimiter(os.cpu_count() or 1)  # each may need a film's size in memory

    async def admit(reader: Reader, file: UploadFile) -> tuple[Gray, core.Prediction]:
        """Return pixels and prediction; raises ImageError if it is not a chest film."""
        data = await file.read()
        pixels = await anyio.to_thread.run_sync(reader.admit, data, limiter=decoders)
        prediction = await asyncio.wrap_future(batches.submit(reader.predict, pixels))
        if prediction.rejection_reason:
            raise NoFilmError(prediction.rejection_reason)
        return pixels, prediction

    @app.post("/v1/predict", responses=FILM_PROBLEMS, dependencies=[Depends(one_file)])
    async def predict(file: Film) -> Prediction:
        """Predict the probability of pneumonia for one film. The film is not stored."""
        model = current.model
        _, prediction = await admit(model.reader, file)
        telemetry.decision(prediction.decision)
        return Prediction.by(model, prediction)

    @app.post(
        "/v1/saliency",
        response_class=Response,
        responses={
            200: {
                "content": {"image/png": {}},
                "description": "PNG of the film with the saliency map over it.",
            },
            **FILM_PROBLEMS,
            **described(501),
        },
        dependencies=[Depends(one_file)],
    )
    async def saliency(file: Film) -> Response:
        """Return the film with the saliency map for pneumonia over it."""
        reader = current.model.reader
        pixels, _ = await admit(reader, file)
        overlay = await asyncio.wrap_future(batches.submit(reader.explain, pixels))
        return Response(overlay, media_type="image/png")

    @app.get("/v1/model")
    async def model_in_use() -> ModelInUse:
        """Return the model that answers, its threshold and what the threshold means."""
        return ModelInUse.of(current.model)


def _add_health(
    app: FastAPI, current: CurrentModel, batches: MicroBatches, telemetry: Telemetry
) -> None:
    @app.get("/healthz")
    async def healthz() -> Alive:
        """Return 200 while the process answers."""
        return Alive()

    @app.get("/readyz", responses=described(503))
    async def readyz() -> Ready:
        """Return 200 while films can be read."""
        if not batches.is_alive:
            raise HTTPException(503, "The thread that reads films has ended: restart the server.")
        name = ModelInUse.of(current.model).model
        return Ready(model=name, newer_refused=current.refusal is not None)

    @app.get(
        "/metrics",
        response_class=Response,
        responses={200: {"content": {"text/plain": {}}, "description": "Metrics for Prometheus."}},
    )
    async def metrics() -> Any:
        """Return counts and times of requests, batches and decisions."""
        return Response(telemetry.exposition(), media_type="text/plain; version=0.0.4")


def _add_page(app: FastAPI) -> None:
    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(PAGE / "index.html")

    @app.get("/page/palette.css", include_in_schema=False)
    async def palette() -> FileResponse:
        """Return the colours that the report has too."""
        return FileResponse(PALETTE)

    app.mount("/page", StaticFiles(directory=PAGE))
