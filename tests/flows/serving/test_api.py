import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from flows.serving.models import Model
from pneumo_core.data.images import decode
from pneumo_core.inference.files import predict

PROBLEM = "application/problem+json"


def _post(client: TestClient, data: bytes, path: str = "/v1/predict") -> Any:
    return client.post(path, files={"file": ("한글 이름.png", data)})


def test_prediction_says_all_that_it_rests_on(
    client: TestClient, small_model: Model, film_bytes: Callable[..., bytes]
) -> None:
    answer = _post(client, film_bytes(0))
    assert answer.status_code == 200
    output = answer.json()
    assert output["operating_point"] == "reading_aid"
    assert output["threshold"] == small_model.reader.threshold
    assert (output["decision"] == "PNEUMONIA") == (output["probability"] >= output["threshold"])
    assert output["model"] == {
        "name": "test_efficientnet-full",
        "version": small_model.version,
        "alias": None,
    }
    assert output["meaning"] == small_model.reader.meaning
    assert output["on_validation"] == asdict(small_model.reader.on_validation)
    assert "not for diagnosis" in output["notice"]


def test_probability_is_that_of_pneumo_predict(
    client: TestClient, small_model: Model, film_bytes: Callable[..., bytes], tmp_path: Any
) -> None:
    for number in range(5):
        path = tmp_path / f"{number}.jpeg"
        path.write_bytes(film_bytes(number, "JPEG"))
        (expected,) = predict(small_model.reader, [path])
        output = _post(client, path.read_bytes()).json()
        assert output["probability"] == expected["probability"]
        assert output["decision"] == expected["decision"]


def test_saliency_is_a_picture_of_the_film(
    client: TestClient, film_bytes: Callable[..., bytes]
) -> None:
    answer = _post(client, film_bytes(0), "/v1/saliency")
    assert answer.headers["content-type"] == "image/png"
    overlay = decode(answer.content, 10**6)
    assert (overlay.width_px, overlay.height_px, overlay.colour_mode) == (64, 64, "RGB")


def test_dicom_is_read(
    client: TestClient,
    small_film: Callable[[int], Any],
    film_bytes: Callable[..., bytes],
    write_dicom: Callable[..., Any],
    tmp_path: Any,
) -> None:
    data = write_dicom(tmp_path / "film.dcm", small_film(0)).read_bytes()
    assert _post(client, data).json() == _post(client, film_bytes(0)).json()
    assert b"Gildong" in data
    assert b"Gildong" not in _post(client, data[:-100]).content


@pytest.mark.parametrize("path", ["/v1/predict", "/v1/saliency"])
def test_what_is_no_film_gets_a_reason(
    client: TestClient, film_bytes: Callable[..., bytes], photograph: Any, path: str
) -> None:
    for data, kind, message in (
        (film_bytes(photograph), "not-a-chest-film", "it is in colour"),
        (film_bytes(np.zeros((99, 99), np.uint8)), "not-a-chest-film", "it is blank"),
        (film_bytes(0)[:200], "not-an-image", "cannot be decoded"),
        (b"", "not-an-image", "empty file"),
    ):
        answer = _post(client, data, path)
        assert answer.status_code == 422
        assert answer.headers["content-type"] == PROBLEM
        output = answer.json()
        assert output["type"] == f"urn:pneumo:problem:{kind}"
        assert message in output["detail"]
        assert output["status"] == 422


@pytest.mark.parametrize("path", ["/v1/predict", "/v1/saliency"])
def test_two_films_in_one_request_are_refused(
    client: TestClient, film_bytes: Callable[..., bytes], path: str
) -> None:
    files = [("file", (name, film_bytes(0), "image/png")) for name in ("a.png", "b.png")]
    answer = client.post(path, files=files)
    assert answer.status_code == 422
    assert answer.json()["detail"] == "Send one file in a request."


def test_other_requests_are_refused_as_problems(client: TestClient) -> None:
    for answer, status in (
        (client.post("/v1/predict"), 422),
        (client.post("/v1/predict", data={"file": "text"}), 422),
        (client.post("/v1/predict", content=b"x", headers={"Content-Type": "text/plain"}), 422),
        (
            client.post(
                "/v1/predict",
                content=b"--x\r\nbroken",
                headers={"Content-Type": "multipart/form-data; boundary=x"},
            ),
            422,
        ),
        (client.get("/v1/predict"), 405),
        (client.get("/nowhere"), 404),
        (client.get("/page/../app.py"), 404),
    ):
        assert answer.status_code == status
        assert answer.headers["content-type"] == PROBLEM
        assert set(answer.json()) == {"type", "title", "status", "detail"}


def test_upload_that_is_too_large_is_refused_stated_or_not(
    client_with: Callable[..., TestClient], film_bytes: Callable[..., bytes]
) -> None:
    client = client_with(max_bytes=20_000)
    assert _post(client, film_bytes(0)).status_code == 200
    stated = _post(client, bytes(20_001))
    head, _, rest = _multipart(bytes(40_000))

    def pieces() -> Iterator[bytes]:  # sent in chunks, with no length
        yield head
        yield rest

    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    unstated = client.post("/v1/predict", content=pieces(), headers=headers)
    for answer in (stated, unstated):
        assert answer.status_code == 413
        assert answer.headers["content-type"] == PROBLEM
        assert answer.json()["detail"] == "More than 20,000 bytes."


def _multipart(data: bytes) -> tuple[bytes, bytes, bytes]:
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    return head, data, data + b"\r\n--x--\r\n"


def test_more_films_than_there_is_room_for_are_told_to_come_again(
    client_with: Callable[..., TestClient],
    small_model: Model,
    film_bytes: Callable[..., bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = client_with(room=2)
    go_on, begun = threading.Event(), threading.Semaphore(0)
    admit = type(small_model.reader).admit

    def slow(reader: Any, data: bytes) -> Any:
        begun.release()
        assert go_on.wait(30)
        return admit(reader, data)

    monkeypatch.setattr(type(small_model.reader), "admit", slow)
    answers: list[Any] = []
    films = [film_bytes(number) for number in range(2)]
    senders = [
        threading.Thread(target=lambda film=film: answers.append(_post(client, film)))
        for film in films
    ]
    for sender in senders:
        sender.start()
        assert begun.acquire(timeout=30)
    refused = _post(client, films[0])
    assert refused.status_code == 503
    assert refused.headers["retry-after"] == "1"
    assert refused.headers["content-type"] == PROBLEM
    go_on.set()
    for sender in senders:
        sender.join(30)
    assert [answer.status_code for answer in answers] == [200, 200]
    assert _post(client, films[0]).status_code == 200  # there is room again


def test_large_film_is_kept_in_memory_alone(
    client: TestClient, film_bytes: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Starlette would write uploads of more than a megabyte to a temporary file."""

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a film was written to disk")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    large = film_bytes(
        np.kron(np.arange(256, dtype=np.uint8).reshape(16, 16), np.ones((99, 99), np.uint8))
    )
    padded = large + bytes(3_000_000)
    assert _post(client, padded).status_code in {200, 422}


def test_defect_is_a_problem_that_tells_nothing(
    client_with: Callable[..., TestClient],
    small_model: Model,
    film_bytes: Callable[..., bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = client_with()

    def fail(*_: Any) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(type(small_model.reader), "predict", fail)
    answer = _post(client, film_bytes(0))
    assert answer.status_code == 500
    assert answer.headers["content-type"] == PROBLEM
    assert "secret" not in answer.text
    monkeypatch.undo()
    assert _post(client, film_bytes(0)).status_code == 200


def test_health_and_readiness(client: TestClient, small_model: Model) -> None:
    assert client.get("/healthz").json() == {"status": "alive"}
    ready = client.get("/readyz").json()
    assert ready["status"] == "ready"
    assert ready["model"]["version"] == small_model.version
    assert ready["newer_refused"] is False


def test_figures_for_prometheus_count_what_happened(
    client: TestClient, film_bytes: Callable[..., bytes], photograph: Any
) -> None:
    for film in (0, 1, photograph):
        _post(client, film_bytes(film))
    client.get("/nowhere")
    figures = client.get("/metrics").text
    for line in (
        'pneumo_requests_total{path="/v1/predict",status="200"} 2.0',
        'pneumo_requests_total{path="/v1/predict",status="422"} 1.0',
        'pneumo_requests_total{path="other",status="404"} 1.0',
        "pneumo_batch_films_sum 2.0",
        'pneumo_request_seconds_count{path="/v1/predict"} 3.0',
    ):
        assert line in figures
    decisions = re.findall(r'pneumo_decisions_total\{decision="(\w+)"\} (\d)', figures)
    assert sum(int(count) for _, count in decisions) == 2


def test_answers_are_not_cached_and_no_page_may_load_from_elsewhere(client: TestClient) -> None:
    for path in ("/", "/page/page.js", "/v1/model", "/nowhere"):
        headers = client.get(path).headers
        assert headers["cache-control"] == "no-store"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
