"""How many clients may be connected, and how long each may take to send a request.

uvicorn bounds neither: a thousand clients that send half a request use up the file descriptors.
"""

import asyncio
import errno
import os
import socket
from contextlib import suppress
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEADER_S = 10.0  # also between two requests of a connection
BODY_S = 40.0  # more than an upload may take, whose end has an answer (`Limits.max_upload_s`)


class Listener(socket.socket):
    """A listening socket with a bounded number of connections.

    One more closes the connection that has waited longest without a whole request, so idle clients
    shut nobody out. Where every connection has a request that is being answered, it is refused.
    """

    def __init__(self, listening: socket.socket, most: int) -> None:
        super().__init__(fileno=listening.detach())
        self._most = most
        self._open: dict[int, socket.socket] = {}  # by file descriptor, the oldest first
        self.busy: set[int] = set()  # file descriptors whose request is being answered

    def accept(self) -> tuple[socket.socket, Any]:
        new, address = super().accept()
        self._open = {fd: old for fd, old in self._open.items() if old.fileno() == fd}
        if len(self._open) >= self._most and not self._close_oldest():
            new.close()
            raise ConnectionAbortedError(errno.ECONNABORTED, os.strerror(errno.ECONNABORTED))
        self._open[new.fileno()] = new
        return new, address

    def _close_oldest(self) -> bool:
        for fd, old in self._open.items():
            if fd not in self.busy:
                del self._open[fd]
                with suppress(OSError):  # the client has gone
                    old.shutdown(socket.SHUT_RDWR)  # its transport sees the end and closes it
                return True
        return False


class TimedProtocol(H11Protocol):
    """HTTP/1.1 of one connection; ends it if a header or a body does not arrive in time."""

    def __init__(self, listener: Listener, **of_uvicorn: Any) -> None:
        super().__init__(**of_uvicorn)
        self._listener = listener
        self._state: Any = None  # of the client, by h11
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._fd = transport.get_extra_info("socket").fileno()
        self._watch(h11.IDLE)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch(self.conn.their_state)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch(self.conn.their_state)

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        self._watch(h11.CLOSED)
        self._listener.busy.discard(self._fd)

    def _watch(self, state: Any) -> None:
        """Begin to wait for what the client owes in its new state."""
        if state is self._state:
            return
        self._state = state
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if state is h11.IDLE or state is h11.SEND_BODY:
            self._listener.busy.discard(self._fd)
            seconds = HEADER_S if state is h11.IDLE else BODY_S
            self._timer = self.loop.call_later(seconds, self.transport.abort)
        else:
            self._listener.busy.add(self._fd)
