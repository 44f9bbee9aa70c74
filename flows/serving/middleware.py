"""Around every request: who asks, room and size, safe headers, figures, a line in the log."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException

from flows.serving import tokens
from flows.serving.problems import ProblemResponse, problem
from flows.serving.telemetry import Telemetry
from pneumo_core.errors import PipelineError

logger = logging.getLogger(__name__)
access = logging.getLogger("pneumo.access")

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Any, Receive, Send], Awaitable[None]]

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Login:
    """Answers 401 to whoever sends no known token; `scope["caller"]` is the name of the others."""

    OPEN = "/healthz"  # says that the process lives, and nothing else

    def __init__(self, app: App, token_file: Path) -> None:
        self._app, self._token_file = app, token_file

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] == self.OPEN:
            await self._app(scope, receive, send)
            return
        try:
            sent = Headers(scope=scope).get("authorization", "")
            scope["caller"] = tokens.caller(self._token_file, sent)
        except (PipelineError, OSError, ValueError) as error:
            logger.error("Nobody is let in: %s", error)
            await problem(503, "The tokens cannot be read.")(scope, receive, send)
            return
        if scope["caller"] is None:
            await _unknown()(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def _unknown() -> ProblemResponse:
    """Return a refusal upon which a browser asks for name and token."""
    text = "Send a token, as 'Authorization: Bearer TOKEN', or log in with its name and the token."
    asked = 'Basic realm="pneumo", charset="UTF-8"'
    return problem(401, text, headers={"WWW-Authenticate": asked, "Connection": "close"})


class Gate:
    """Bounds the number of uploads at a time, in all and for each caller, their size and time."""

    def __init__(
        self, app: App, room: int, room_each: int, max_bytes: int, max_upload_s: float
    ) -> None:
        self._app, self._room, self._room_each = app, room, room_each
        self._uploads: Counter[str] = Counter()  # of each caller that has a name
        self._max_bytes, self._max_upload_s = max_bytes, max_upload_s
        self._limit = f"More than {max_bytes:,} bytes."

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        caller = scope.get("caller")
        if (refusal := self._refusal(scope, caller)) is not None:
            await refusal(scope, receive, send)
            return
        self._room -= 1
        self._uploads[caller] += caller is not None
        try:
            await self._app(scope, self._bounded(receive), send)
        finally:
            self._room += 1
            self._uploads[caller] -= caller is not None

    def _refusal(self, scope: Any, caller: Any) -> ProblemResponse | None:
        if _content_length(scope) > self._max_bytes:
            return problem(413, self._limit, headers={"Connection": "close"})
        later = {"Retry-After": "1", "Connection": "close"}
        if self._room == 0:
            text = "The server is busy with other films: try again in a second."
            return problem(503, text, headers=later)
        if self._uploads[caller] == self._room_each:
            text = f"{self._room_each} films of {caller} at a time: try again in a second."
            return problem(429, text, headers=later)
        return None

    def _bounded(self, receive: Receive) -> Receive:
        num_bytes, complete = 0, False
        deadline = time.monotonic() + self._max_upload_s

        async def bounded() -> Message:
            nonlocal num_bytes, complete
            if complete:  # the next message is that the client went away
                return await receive()
            try:
                async with asyncio.timeout(deadline - time.monotonic()):
                    message = await receive()
            except TimeoutError as error:
                raise HTTPException(408, "The upload took too long.") from error
            num_bytes += len(message.get("body", b""))
            complete = not message.get("more_body", False)
            if num_bytes > self._max_bytes:
                raise HTTPException(413, self._limit)
            return message

        return bounded


def _content_length(scope: Any) -> int:
    """Return the stated length in bytes, or 0."""
    stated = dict(scope["headers"]).get(b"content-length", b"0")
    return int(stated) if stated.isdigit() else 0


class Watched:
    """Counts and times each request, logs those with a name, and gives answers safe headers."""

    def __init__(self, app: App, telemetry: Telemetry) -> None:
        self._app, self._telemetry = app, telemetry

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 500
        begun = time.perf_counter()

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        try:
            await self._app(scope, receive, sending)
        finally:
            path = getattr(scope.get("route"), "path", "other")
            seconds = time.perf_counter() - begun
            self._telemetry.request(path, status, seconds)
            if caller := scope.get("caller"):
                access.info("%s %s %s %d %.3f s", caller, scope["method"], path, status, seconds)
