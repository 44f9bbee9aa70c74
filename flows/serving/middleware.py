"""Around every request: room and size, safe headers, figures."""

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException

from flows.serving.problems import ProblemResponse, problem
from flows.serving.telemetry import Telemetry

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


class Gate:
    """Bounds the number of uploads at a time, their size and their duration."""

    def __init__(self, app: App, room: int, max_bytes: int, max_upload_s: float) -> None:
        self._app, self._room = app, room
        self._max_bytes, self._max_upload_s = max_bytes, max_upload_s

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
        elif _content_length(scope) > self._max_bytes:
            await self._too_large()(scope, receive, send)
        elif self._room == 0:
            busy = "The server is busy with other films: try again in a second."
            refusal = problem(503, busy, headers={"Retry-After": "1", "Connection": "close"})
            await refusal(scope, receive, send)
        else:
            self._room -= 1
            try:
                await self._app(scope, self._bounded(receive), send)
            finally:
                self._room += 1

    def _too_large(self) -> ProblemResponse:
        return problem(413, self._limit, headers={"Connection": "close"})

    @property
    def _limit(self) -> str:
        return f"More than {self._max_bytes:,} bytes."

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
    """Counts and times each request, and gives each answer the safe headers."""

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
            self._telemetry.request(path, status, time.perf_counter() - begun)
