"""Who may use the service, and over what."""

import base64
import logging
import re
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient
from playwright.sync_api import Browser, Error, expect
from typer.testing import CliRunner

from flows.cli.app import app as command_line
from flows.serving import tokens
from flows.serving.app import Limits, create_app
from flows.serving.models import Model
from pneumo_core.errors import PipelineError


def _make(file: Path, name: str) -> str:
    result = CliRunner().invoke(command_line, ["serve", "token", name, "--token-file", str(file)])
    assert result.exit_code == 0, result.output
    return result.output.strip()


def _basic(name: str, token: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{token}".encode()).decode()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "tokens"


@pytest.fixture
def client_with_tokens(small_model: Model, file: Path) -> Iterator[TestClient]:
    _make(file, "anna")
    app = create_app(small_model, lambda _: None, Limits(room_each=1), file)
    with TestClient(app) as client:
        yield client


def test_token_is_printed_once_and_its_file_holds_no_token(file: Path) -> None:
    anna, bert = _make(file, "anna"), _make(file, "bert")
    assert len(anna) >= 40
    assert file.stat().st_mode & 0o777 == 0o600
    assert re.fullmatch(r"anna: sha256:[0-9a-f]{64}\nbert: sha256:[0-9a-f]{64}\n", file.read_text())
    assert anna not in file.read_text()
    for sent, name in (
        (f"Bearer {anna}", "anna"),
        (f"bearer {bert}", "bert"),
        (_basic("anna", anna), "anna"),
        (_basic("bert", anna), None),
        (_basic("anna", ""), None),
        (f"Bearer {anna[:-1]}", None),
        (f"Digest {anna}", None),
        ("Basic ???", None),
        ("Bearer", None),
        ("", None),
    ):
        assert tokens.caller(file, sent) == name, sent


def test_file_that_proves_nothing_is_refused(file: Path) -> None:
    for text, mode, reason in (
        (None, 0o600, "There is no file"),
        ("", 0o600, "has no token"),
        ("anna: secret\n", 0o600, "Line 1"),
        (f"anna: sha256:{'0' * 64}\n", 0o640, "chmod 600"),
        (f"anna: sha256:{'0' * 64}\n", 0o602, "chmod 600"),
    ):
        if text is not None:
            file.write_text(text)
            file.chmod(mode)
        with pytest.raises(PipelineError, match=reason):
            tokens.read(file)


@pytest.mark.parametrize("name", ["", "a b", "a:b", "a\nb: x", "ä"])
def test_name_that_would_break_the_file_or_the_log_is_refused(file: Path, name: str) -> None:
    with pytest.raises(PipelineError, match="not a name"):
        tokens.create(file, name)
    assert not file.exists()


def test_name_has_one_token(file: Path) -> None:
    tokens.create(file, "anna")
    with pytest.raises(PipelineError, match="has a token of anna"):
        tokens.create(file, "anna")


def test_every_route_but_one_needs_a_token(client_with_tokens: TestClient, file: Path) -> None:
    """All routes of the application, so that a new one cannot be forgotten."""
    routes = [
        (method, route.path)
        for route in client_with_tokens.app.routes  # type: ignore[attr-defined]
        for method in getattr(route, "methods", None) or {"GET"}
    ]
    routes += [("GET", "/page/page.js"), ("GET", "/nowhere"), ("PUT", "/healthz/"), ("POST", "//")]
    assert {path for _, path in routes} >= {"/", "/page", "/openapi.json", "/metrics", "/readyz"}
    wrong = [{}, {"Authorization": "Bearer x"}, {"Authorization": _basic("anna", "x")}]
    for method, path in routes:
        answers = [client_with_tokens.request(method, path, headers=sent) for sent in wrong]
        statuses = {answer.status_code for answer in answers}
        assert statuses == ({200} if path == "/healthz" else {401}), (method, path)
        for answer in answers:
            if answer.status_code == 401:
                assert answer.headers["www-authenticate"].startswith("Basic ")
                assert answer.headers["cache-control"] == "no-store"
    tokens.create(file, "bert")
    file.write_text("".join(file.read_text().splitlines(keepends=True)[1:]))  # without anna
    assert client_with_tokens.get("/v1/model").status_code == 401


def test_token_opens_all_and_the_log_has_its_name(
    client_with_tokens: TestClient,
    film_bytes: Callable[..., bytes],
    file: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    token = tokens.create(file, "carl")  # while the service runs
    caplog.set_level(logging.INFO, "pneumo.access")
    film = {"file": ("name.png", film_bytes(0))}
    for sent in (f"Bearer {token}", _basic("carl", token)):
        headers = {"Authorization": sent}
        assert client_with_tokens.get("/", headers=headers).status_code == 200
        answer = client_with_tokens.post("/v1/predict", files=film, headers=headers)
        assert answer.status_code == 200
    client_with_tokens.get("/x%0Ay", headers=headers)
    lines = [re.sub(r"[\d.]+ s$", "T", record.getMessage()) for record in caplog.records]
    seen = ["carl GET / 200 T", "carl POST /v1/predict 200 T"]
    assert [line for line in lines if line.startswith("carl")] == [
        *seen,
        *seen,
        "carl GET other 404 T",
    ]
    assert token not in caplog.text
    assert "name.png" not in caplog.text


def test_deleted_token_opens_nothing_and_damaged_file_lets_nobody_in(
    client_with_tokens: TestClient, file: Path
) -> None:
    headers = {"Authorization": f"Bearer {tokens.create(file, 'carl')}"}
    assert client_with_tokens.get("/v1/model", headers=headers).status_code == 200
    lines = file.read_text().splitlines(keepends=True)
    file.write_text(lines[0])
    assert client_with_tokens.get("/v1/model", headers=headers).status_code == 401
    file.write_text("".join(lines))
    file.chmod(0o644)
    answer = client_with_tokens.get("/v1/model", headers=headers)
    assert (answer.status_code, answer.json()["detail"]) == (503, "The tokens cannot be read.")


def test_one_caller_cannot_take_all_the_room(
    client_with_tokens: TestClient,
    small_model: Model,
    film_bytes: Callable[..., bytes],
    file: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    callers = {
        name: {"Authorization": f"Bearer {tokens.create(file, name)}"} for name in ("b", "c")
    }
    go_on, begun = threading.Event(), threading.Semaphore(0)
    admit = type(small_model.reader).admit

    def slow(reader: Any, data: bytes) -> Any:
        begun.release()
        assert go_on.wait(30)
        return admit(reader, data)

    monkeypatch.setattr(type(small_model.reader), "admit", slow)
    answers: list[int] = []

    def post(name: str) -> int:
        film = {"file": film_bytes(0)}
        answer = client_with_tokens.post("/v1/predict", files=film, headers=callers[name])
        answers.append(answer.status_code)
        return answer.status_code

    first = threading.Thread(target=post, args="b")
    first.start()
    assert begun.acquire(timeout=30)
    assert post("b") == 429
    other = threading.Thread(target=post, args="c")
    other.start()
    assert begun.acquire(timeout=30), "another caller has room"
    go_on.set()
    for thread in (first, other):
        thread.join(30)
    assert answers == [429, 200, 200]
    assert post("b") == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org", ""])
def test_service_for_others_needs_tokens(host: str, small_bundle: Path) -> None:
    from flows.serving import server

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server.pages, "require_free", lambda *_: None)
        with pytest.raises(PipelineError, match="give --token-file"):
            server.Address(host, 8000).require_usable()
        for private in ("127.0.0.1", "127.0.0.9", "::1", "localhost"):
            server.Address(private, 8000).require_usable()
    result = CliRunner().invoke(
        command_line, ["serve", "--host", "0.0.0.0", "--bundle", str(small_bundle)]
    )
    assert isinstance(result.exception, PipelineError)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that signs itself, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-subj", "/CN=pneumo", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*command, "-keyout", key, "-out", cert], check=True, capture_output=True)
    return cert, key


def test_certificate_without_its_key_is_refused(pair: tuple[Path, Path], tmp_path: Path) -> None:
    from flows.serving.server import Address

    cert, key = pair
    (tmp_path / "none").touch()
    for files, reason in (
        ((cert, None), "go together"),
        ((None, key), "go together"),
        ((cert, tmp_path / "none"), "not a certificate and its key"),
        ((tmp_path / "gone", key), "not a certificate and its key"),
    ):
        with pytest.raises(PipelineError, match=reason):
            Address("127.0.0.1", 8000, None, *files).require_usable()


@pytest.mark.slow
def test_service_with_tokens_and_tls_as_users_start_it(
    serving: Callable[..., Any],
    pair: tuple[Path, Path],
    film_bytes: Callable[..., bytes],
    browser: Browser,
    tmp_path: Path,
    file: Path,
) -> None:
    """A client that knows the certificate, then a person in a browser, who logs in there."""
    cert, key = pair
    token = _make(file, "anna")
    options = ("--token-file", file, "--tls-cert", cert, "--tls-key", key)
    with serving(tmp_path, *options) as address:
        known = ssl.create_default_context(cafile=str(cert))
        with httpx.Client(base_url=address, verify=known) as client:
            film = {"file": film_bytes(0)}
            assert client.post("/v1/predict", files=film).status_code == 401
            headers = {"Authorization": f"Bearer {token}"}
            assert client.post("/v1/predict", files=film, headers=headers).status_code == 200
        login = {"username": "anna", "password": token}
        context = browser.new_context(ignore_https_errors=True, http_credentials=login)  # type: ignore[arg-type]
        page = context.new_page()
        page.goto(address)
        (tmp_path / "film.png").write_bytes(film_bytes(0))
        page.locator("#file").set_input_files(tmp_path / "film.png")
        expect(page.locator("#map-figure")).to_be_visible(timeout=60_000)
        context.close()
        stranger = browser.new_context(ignore_https_errors=True)
        with pytest.raises(Error, match="ERR_INVALID_AUTH_CREDENTIALS"):
            stranger.new_page().goto(address)
        stranger.close()
    lines = (tmp_path / "log").read_text().splitlines()
    assert re.fullmatch(r"Listening on https://127.0.0.1:\d+", lines[1])
    expected = re.compile(r"[\d-]+ [\d:,]+ anna (GET|POST) (/|other)")
    assert [line for line in lines[2:] if not expected.match(line)] == []
    assert sum(" anna POST /v1/saliency 200 " in line for line in lines) == 1
