"""Stand-ins that really serve: a loopback web server, descriptions on disk."""

from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
import yaml

from pneumo_core.params import IngestParams
from pneumo_core.sources.opening import open_source
from pneumo_core.sources.source import Source


class WebServer:
    """Answers by path: bytes, or a function of the request's handler that gives (status, headers,
    body); everything else is 404. `asked` lists the paths that were asked for."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.asked: list[str] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _answer(self) -> None:
                path = self.path.partition("?")[0]
                server.asked.append(path)
                length = int(self.headers.get("Content-Length") or 0)
                self.body = self.rfile.read(length)
                found = server.answers.get(path, (404, {}, b"not here"))
                status, headers, body = (
                    found(self)
                    if callable(found)
                    else found
                    if isinstance(found, tuple)
                    else (200, {}, found)
                )
                self.send_response(status)
                for name, value in ({"Content-Length": str(len(body))} | headers).items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            do_GET = do_POST = do_HEAD = _answer  # noqa: N815

            def log_message(self, *_: Any) -> None:
                pass

        self.handler = Handler


@pytest.fixture
def web(served: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Iterator[WebServer]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = WebServer()
    with served(server.handler) as server.url:
        yield server


@pytest.fixture
def open_description(tmp_path: Path) -> Callable[..., Source]:
    """Writes a description and opens it; its folder is `tmp_path`, its cache lies below."""

    def open_it(**description: Any) -> Source:
        path = tmp_path / "description.yaml"
        path.write_text(yaml.safe_dump(description), "utf-8")
        return open_source(IngestParams(source=str(path)), cache=tmp_path / "cache")

    return open_it
