"""Stand-ins that really serve: a loopback web server, DICOM files, descriptions on disk."""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from pneumo_core.params import IngestParams
from pneumo_core.sources import Source, open_source

DX_IMAGE = "1.2.840.10008.5.1.4.1.1.1.1"


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

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> "WebServer":
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[WebServer]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with WebServer() as server:
        yield server


@pytest.fixture
def open_description(tmp_path: Path) -> Callable[..., Source]:
    """Writes a description and opens it; its folder is `tmp_path`, its cache lies below."""

    def open_it(**description: Any) -> Source:
        path = tmp_path / "description.yaml"
        path.write_text(yaml.safe_dump(description), "utf-8")
        return open_source(IngestParams(source=str(path)), cache=tmp_path / "cache")

    return open_it


@pytest.fixture(scope="session")
def write_dicom() -> Callable[..., Path]:
    """Writes a DICOM film of one hospital patient; keywords are DICOM's, None leaves one out."""

    def write(path: Path, pixels: np.ndarray[Any, Any] | None = None, **header: Any) -> Path:
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = DX_IMAGE
        meta.TransferSyntaxUID = header.pop("TransferSyntaxUID", ExplicitVRLittleEndian)
        film = FileDataset(str(path), {}, file_meta=meta, preamble=bytes(128))
        defaults: dict[str, Any] = {
            "SOPClassUID": DX_IMAGE,
            "SOPInstanceUID": generate_uid(),
            "PatientID": "H-4711",
            "PatientName": "Hong^Gildong",
        }
        if pixels is not None:
            defaults |= {
                "Rows": pixels.shape[-2],
                "Columns": pixels.shape[-1],
                "SamplesPerPixel": 1,
                "PhotometricInterpretation": "MONOCHROME2",
                "BitsAllocated": pixels.itemsize * 8,
                "BitsStored": pixels.itemsize * 8,
                "HighBit": pixels.itemsize * 8 - 1,
                "PixelRepresentation": int(pixels.dtype.kind == "i"),
                "PixelData": pixels.tobytes(),
            }
        for keyword, value in (defaults | header).items():
            if value is not None:
                setattr(film, keyword, value)
        if "PixelData" in film:
            film["PixelData"].VR = "OW"
        meta.MediaStorageSOPInstanceUID = film.get("SOPInstanceUID") or generate_uid()
        path.parent.mkdir(parents=True, exist_ok=True)
        film.save_as(path, enforce_file_format=True)
        return path

    return write
