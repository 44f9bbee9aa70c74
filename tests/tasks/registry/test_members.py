"""Logins and roles on a real MLflow server, set up as by `mlflow/compose.yaml`, but on SQLite."""

import configparser
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from typer.testing import CliRunner

from flows.cli.app import app
from pneumo_core import params
from pneumo_core.errors import PromotionError
from pneumo_core.promotion.promotion import Decision
from tasks import ledger, paths, promote
from tasks.registry import members, model_versions, rollback
from tasks.registry.members import MemberRole
from tasks.tracking import connection

ROOT = Path(__file__).parents[3]
PATIENCE_S = 300
ADMIN = ("pneumo", "a-long-password-of-a-test")
SERVER_INFO = {f"/{api}/3.0/mlflow/server-info" for api in ("api", "ajax-api")}
PUBLIC = {"/health", "/static-files/<path:path>", *SERVER_INFO}
ROUTES = """
import json
from mlflow.server.auth import create_app
from mlflow.server import app
native = create_app()
found = {(rule.rule, method) for rule in app.url_map.iter_rules() for method in rule.methods}
found |= {(r.path, m) for r in native.routes for m in getattr(r, "methods", None) or ()}
print(json.dumps(sorted(found)))
"""


@dataclass
class Server:
    url: str
    environment: dict[str, str]
    log: Path

    def ask(self, login: tuple[str, str] | None, path: str, **body: Any) -> httpx.Response:
        """Send a request, by POST unless the path begins with another method."""
        method, _, path = path.rpartition(" ")
        fields = {"params" if method == "GET" else "json": body}
        url = f"{self.url}/api/2.0/mlflow/{path}"
        return httpx.request(method or "POST", url, **fields, auth=login, timeout=PATIENCE_S)


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory,
    empty_store: Path,
    free_ports: Callable[..., dict[str, int]],
) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    (folder / "mlflow.db").write_bytes(empty_store.read_bytes())
    settings = configparser.ConfigParser()
    settings.read(ROOT / "mlflow" / "basic_auth.ini")
    settings["mlflow"]["database_uri"] = f"sqlite:///{folder / 'users.db'}"
    with (folder / "basic_auth.ini").open("w") as file:
        settings.write(file)
    port = free_ports("mlflow")["mlflow"]
    there = os.environ | {
        "PYTHONPATH": str(ROOT),
        "MLFLOW_AUTH_CONFIG_PATH": str(folder / "basic_auth.ini"),
        "MLFLOW_AUTH_ADMIN_USERNAME": ADMIN[0],
        "MLFLOW_AUTH_ADMIN_PASSWORD": ADMIN[1],
        "MLFLOW_FLASK_SERVER_SECRET_KEY": "key",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "no_proxy": "127.0.0.1",
    }
    compose = yaml.safe_load((ROOT / "mlflow" / "compose.yaml").read_text())
    stated = compose["services"]["mlflow"]["command"]
    options = [each for each in stated[2:] if not each.startswith(("--host", "--port"))]
    where = ["--host=127.0.0.1", f"--port={port}", f"--artifacts-destination={folder / 'files'}"]
    store = f"--backend-store-uri=sqlite:///{folder / 'mlflow.db'}"
    log = folder / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *stated[:2], *options, *where, store],
            env=there,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    url = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + PATIENCE_S
    try:
        while True:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline
            with suppress(httpx.TransportError):
                if httpx.get(f"{url}/health").is_success:
                    break
            time.sleep(0.2)
        yield Server(url, there, log)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture
def log_in(server: Server, monkeypatch: pytest.MonkeyPatch) -> Callable[[tuple[str, str]], None]:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.url)
    monkeypatch.setenv("no_proxy", "127.0.0.1")

    def log_in(login: tuple[str, str]) -> None:
        monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", login[0])
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", login[1])

    log_in(ADMIN)
    return log_in


@pytest.fixture(scope="module")
def logins(server: Server) -> dict[str, tuple[str, str]]:
    """A member of each role, and one of none."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", server.url)
        patch.setenv("MLFLOW_TRACKING_USERNAME", ADMIN[0])
        patch.setenv("MLFLOW_TRACKING_PASSWORD", ADMIN[1])
        patch.setenv("no_proxy", "127.0.0.1")
        found = {
            str(role): (f"one-{role}", str(members.set_role(f"one-{role}", role)))
            for role in MemberRole
        }
    nobody = ("nobody", "another-long-password")
    server.ask(ADMIN, "users/create", username=nobody[0], password=nobody[1]).raise_for_status()
    return found | {"no role": nobody, "admin": ADMIN}


def test_every_route_asks_for_a_login(server: Server) -> None:
    found = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", ROUTES],
        env=server.environment | {"_MLFLOW_SGI_NAME": "uvicorn"},
        capture_output=True,
        text=True,
        check=True,
    )
    routes = [tuple(each) for each in json.loads(found.stdout.splitlines()[-1])]
    assert len(routes) > 300
    open_to_all = set()
    with httpx.Client(base_url=server.url, timeout=PATIENCE_S) as client:
        for path, method in routes:
            if method in {"HEAD", "OPTIONS"}:
                continue
            filled = "/".join("1" if part[:1] in {"<", "{"} else part for part in path.split("/"))
            status = client.request(method, filled).status_code
            if status != 401:
                open_to_all.add((path, method, status))
    assert {path for path, _, _ in open_to_all} == PUBLIC, open_to_all


def test_a_wrong_password_is_refused_and_logged_by_name(server: Server) -> None:
    assert server.ask(("pneumo", "wrong"), "experiments/search").status_code == 401
    assert "Wrong login: 'pneumo'" in server.log.read_text()


ALIAS = ("registered-models/alias", {"name": "m", "alias": "champion", "version": "1"})
RIGHTS: dict[str, tuple[tuple[str, dict[str, Any]], set[str]]] = {
    "search runs": (("experiments/search", {"max_results": 1}), {"read", "train", "promote"}),
    "see a model": (
        ("GET model-versions/get", {"name": "m", "version": "1"}),
        {"read", "train", "promote"},
    ),
    "begin a run": (("runs/create", {"experiment_id": "EXPERIMENT"}), {"train", "promote"}),
    "make an experiment": (("experiments/create", {"name": "NEW"}), {"train", "promote"}),
    "make a model": (("registered-models/create", {"name": "NEW"}), {"train", "promote"}),
    "register a version": (
        ("model-versions/create", {"name": "m", "source": "s3://films/m"}),
        {"train", "promote"},
    ),
    "tag a version": (
        ("model-versions/set-tag", {"name": "m", "version": "1", "key": "a", "value": "b"}),
        {"train", "promote"},
    ),
    "rename the bundle of a version": (
        (
            "model-versions/set-tag",
            {"name": "m", "version": "1", "key": "bundle_sha256", "value": "b"},
        ),
        {"promote"},
    ),
    "move an alias": (ALIAS, {"promote"}),
    "make a member": (("users/create", {"username": "NEW", "password": "a-long-password"}), set()),
}


@pytest.fixture(scope="module")
def model(server: Server, logins: dict[str, tuple[str, str]]) -> str:
    """The model m with one version, made by a member who may train; the experiment's id."""
    trainer = logins["train"]
    made = server.ask(trainer, "experiments/create", name="pneumo")
    server.ask(trainer, "registered-models/create", name="m").raise_for_status()
    version = {"name": "m", "source": "s3://films/m"}
    server.ask(trainer, "model-versions/create", **version).raise_for_status()
    return str(made.json()["experiment_id"])


@pytest.mark.parametrize("what", RIGHTS)
def test_roles(server: Server, logins: dict[str, tuple[str, str]], model: str, what: str) -> None:
    """One who may train made the model m. MLflow itself lets the maker of a model do everything."""
    (path, body), allowed = RIGHTS[what]
    for role, login in logins.items():
        new = f"{what} {role}".replace(" ", "-")
        sent = {k: {"NEW": new, "EXPERIMENT": model}.get(v, v) for k, v in body.items()}
        answer = server.ask(login, path, **sent)
        if role in allowed | {"admin"}:
            assert answer.status_code == 200, (role, answer.text)
        elif "search" in path:
            assert not any(answer.json().values()), (role, answer.text)
        else:
            assert answer.status_code == 403, (role, answer.text)


@pytest.mark.usefixtures("model")
def test_a_refusal_is_logged_by_name(server: Server, logins: dict[str, tuple[str, str]]) -> None:
    path, body = ALIAS
    server.ask(logins["train"], path, **body)
    assert "'one-train' may not POST /api/2.0/mlflow/registered-models/alias" in (
        server.log.read_text()
    )


@pytest.mark.usefixtures("model")
@pytest.mark.parametrize("path", ["DELETE registered-models/delete", "registered-models/rename"])
def test_who_made_a_model_can_neither_rename_nor_delete_it(
    server: Server, logins: dict[str, tuple[str, str]], path: str
) -> None:
    assert server.ask(logins["train"], path, name="m", new_name="n").status_code == 403


@pytest.mark.usefixtures("log_in")
def test_a_member_has_one_role_and_keeps_the_password(server: Server) -> None:
    password = str(members.set_role("lee", MemberRole.READ))
    assert members.set_role("lee", MemberRole.PROMOTE) is None
    assert members.set_role("lee", MemberRole.TRAIN) is None
    begin = {"name": "by-lee"}
    assert server.ask(("lee", password), "experiments/create", **begin).status_code == 200
    assert server.ask(("lee", password), ALIAS[0], **ALIAS[1]).status_code == 403
    with pytest.raises(PromotionError, match="is an administrator"):
        members.set_role(ADMIN[0], MemberRole.READ)


@pytest.mark.usefixtures("log_in")
def test_the_command_prints_a_password_once(server: Server) -> None:
    def printed(role: str) -> str:
        result = CliRunner().invoke(app, ["registry", "member", "kim", "--role", role])
        assert result.exit_code == 0, result.output
        return result.output

    password = printed("read").split()[-1]
    assert server.ask(("kim", password), "experiments/search", max_results=1).is_success
    assert printed("train") == "kim has the role train.\n"


def test_a_password_that_leaked_is_replaced(
    server: Server, log_in: Callable[[tuple[str, str]], None]
) -> None:
    leaked = str(members.set_role("park", MemberRole.READ))
    command = ["registry", "member", "park", "--new-password"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    new = result.output.split()[-1]
    for password, status in ((leaked, 401), (new, 200)):
        answer = server.ask(("park", password), "experiments/search", max_results=1)
        assert answer.status_code == status
    assert CliRunner().invoke(app, [*command, "--role", "read"]).exit_code == 2
    assert CliRunner().invoke(app, command[:3]).exit_code == 2
    with pytest.raises(PromotionError, match="There is no login nobody-at-all"):
        members.new_password("nobody-at-all")
    log_in(("park", new))
    own = members.new_password("park")
    assert server.ask(("park", new), "experiments/search", max_results=1).status_code == 401
    assert server.ask(("park", own), "experiments/search", max_results=1).is_success


def test_only_an_administrator_makes_members(
    log_in: Callable[..., None], logins: dict[str, tuple[str, str]]
) -> None:
    log_in(logins["promote"])
    with pytest.raises(PromotionError, match="eve does not get the role read"):
        members.set_role("eve", MemberRole.READ)
    with pytest.raises(PromotionError, match="one-read gets no other password"):
        members.new_password("one-read")


@pytest.mark.usefixtures("project")
def test_a_registry_in_a_file_has_no_members() -> None:
    with pytest.raises(PromotionError, match="MLFLOW_TRACKING_URI"):
        members.set_role("lee", MemberRole.READ)
    assert members.missing_right() is None


@pytest.mark.usefixtures("project")
def test_a_model_that_passes_its_gates_waits_for_somebody_who_may_promote(
    log_in: Callable[..., None],
    logins: dict[str, tuple[str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = params.load().promote
    monkeypatch.setattr(promote, "decide", lambda *_: Decision("promoted", ()))
    log_in(logins["train"])
    promote.run(settings)
    assert list(model_versions.versions("pneumo")) == ["1"]
    assert model_versions.aliases("pneumo") == {}
    entries = ledger.read(paths.PROMOTION_LEDGER)
    assert {entry["outcome"] for entry in entries} == {"refused"}
    assert "one-train has the role train, asked for: role promote" in entries[0]["reasons"][0]
    assert rollback.verify("pneumo") == []

    log_in(logins["promote"])
    promote.run(settings)
    assert set(model_versions.aliases("pneumo").values()) == {"1"}
    assert rollback.verify("pneumo") == []

    log_in(logins["train"])
    before = paths.PROMOTION_LEDGER.read_text()
    with pytest.raises(PromotionError, match="one-train has the role train"):
        rollback.roll_back("pneumo", "champion", None, "a test")
    assert paths.PROMOTION_LEDGER.read_text() == before


@pytest.mark.usefixtures("project")
def test_without_a_login_nothing_is_promoted(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.url)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with pytest.raises(Exception, match="401"):
        connection.connect()
