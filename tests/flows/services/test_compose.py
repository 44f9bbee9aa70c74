"""`mlflow/compose.yaml` without Docker; its commands run in test_operations.py."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from flows.services.compose import read_services
from tasks import telemetry_off

ROOT = Path(__file__).parents[3]
FILE = ROOT / "mlflow" / "compose.yaml"
DOCUMENT: dict[str, Any] = yaml.safe_load(FILE.read_text())
SERVICES = DOCUMENT["services"]
OURS = [name for name, stated in SERVICES.items() if stated["image"] == "pneumo"]


def test_it_is_a_compose_file() -> None:
    check = Path(sys.executable).with_name("check-jsonschema")
    result = subprocess.run(
        [check, "--builtin-schema", "vendor.compose-spec", FILE],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("name", OURS)
def test_our_services_phone_nobody(name: str) -> None:
    message = SERVICES[name]["environment"]
    for variable in ("DO_NOT_TRACK", "DVC_NO_ANALYTICS", "GX_ANALYTICS_ENABLED"):
        assert message[variable] == telemetry_off.DEFAULTS[variable]
    for variable in ("MLFLOW_DISABLE_TELEMETRY", "PREFECT_SERVER_ANALYTICS_ENABLED"):
        assert message[variable] == telemetry_off.DEFAULTS[variable]


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_service_waits_for_can_come_true(name: str) -> None:
    """A service without a health check comes to an end, one with it does not."""
    before = list(SERVICES)[: list(SERVICES).index(name)]
    for need, what in SERVICES[name].get("depends_on", {}).items():
        has_check = "healthcheck" in SERVICES[need]
        expected = "service_healthy" if has_check else "service_completed_successfully"
        assert what["condition"] == expected
        assert need in before
    ends = SERVICES[name]["restart"] == "no"
    assert ends != ("healthcheck" in SERVICES[name])


def test_no_secret_is_written_and_none_is_on_a_command_line() -> None:
    for name, stated in SERVICES.items():
        for variable, value in stated.get("environment", {}).items():
            if "PASSWORD" in variable or "SECRET" in variable:
                assert value.startswith("${"), variable
        assert "PASSWORD" not in " ".join(map(str, stated.get("command", ()))), name


def test_pages_are_published_on_this_machine_only() -> None:
    for stated in SERVICES.values():
        assert all(port.startswith("127.0.0.1:") for port in stated.get("ports", ()))


def test_variables_are_read_as_docker_reads_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    variables = {"MLFLOW_PORT": "1234", "POSTGRES_PASSWORD": "secret"}
    services = {each.name: each for each in read_services(variables, frozenset({"s3"}))}
    assert "s3" not in services
    assert "s3" not in services["stores"].needs
    mlflow = services["mlflow"]
    assert mlflow.command[:4] == ("mlflow", "server", "--host=0.0.0.0", "--port=1234")
    assert "pneumo:secret@postgres:5432/mlflow" in mlflow.environment["MLFLOW_BACKEND_STORE_URI"]
    assert "127.0.0.1:1234/health" in mlflow.health_check[-1]
    for service in services.values():
        texts = (*service.command, *service.health_check, *service.environment.values())
        assert not [text for text in texts if "${" in text]
        assert not [name for name in service.environment if name.startswith("AWS_")]


@pytest.mark.parametrize("name", OURS)
def test_the_programs_are_in_our_own_image(name: str) -> None:
    command = SERVICES[name]["command"]
    if command[:2] == ["sh", "-c"]:
        lines = command[2].split(";")
        programs = [line.strip().removeprefix("exec ").split()[0] for line in lines]
    else:
        programs = command[:1]
    for program in programs:
        assert shutil.which(program, path=str(Path(sys.executable).parent)), program


def test_what_the_image_copies_is_there() -> None:
    dockerfile = (ROOT / "mlflow" / "Dockerfile").read_text()
    assert "COPY requirements.lock" in dockerfile
    let_in = [line[1:] for line in (ROOT / ".dockerignore").read_text().split() if line[0] == "!"]
    assert all((ROOT / name).exists() for name in let_in)
    assert {"requirements.lock", "pyproject.toml", "README.md"} <= set(let_in)
