"""`.github/workflows/retrain.yml`, step by step, against a git remote and S3 on loopback."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from moto.server import ThreadedMotoServer

ROOT = Path(__file__).parents[2]
WORKFLOW = yaml.safe_load((ROOT / ".github/workflows/retrain.yml").read_text())
JOBS = WORKFLOW["jobs"]
BUCKET = "films"
CELL = "tf_efficientnet_lite0-frozen"
OF_A_RUN = ("dvc.lock", "ledger", "results", "reports", "var", "cache", "tmp")
OLD_INSTALL = 'make() { command make --old-file=install "$@"; }\n'  # the tests' own is used


class Missing(str):
    """Empty, and so is all that is in it."""

    def __getattr__(self, name: str) -> "Missing":
        return self


class Context(dict[str, Any]):
    """A context of an expression, whose parts are asked for as attributes."""

    def __getattr__(self, name: str) -> Any:
        value = self.get(name, Missing())
        return Context(value) if isinstance(value, dict) else value


def evaluate(expression: str, contexts: dict[str, Any]) -> Any:
    """Enough of GitHub's expressions for this workflow."""
    python = expression.replace("&&", " and ").replace("||", " or ").strip()
    known = {
        name: Context(contexts.get(name, {})) for name in ("github", "vars", "secrets", "needs")
    }
    return eval(python, {"__builtins__": {}}, known)


def expand(text: str, contexts: dict[str, Any]) -> str:
    return re.sub(r"\$\{\{(.*?)\}\}", lambda found: str(evaluate(found[1], contexts)), text)


@dataclass
class Ran:
    clone: Path
    summary: str
    outputs: dict[str, str]
    output: str


@dataclass(frozen=True)
class Actions:
    """Runs jobs as GitHub does: each in a fresh clone, its steps in order."""

    origin: Path
    scratch: Path
    environment: dict[str, str]
    settings: dict[str, Any]  # of the repository: vars and secrets

    def run(self, job: str, **contexts: Any) -> Ran:
        contexts = self.settings | contexts
        steps = JOBS[job]["steps"]
        clone = self.scratch / f"{job}-{contexts['github']['run_id']}"
        (checkout,) = (step["with"] for step in steps if "checkout" in step.get("uses", ""))
        git("clone", "-q", self.origin, clone, cwd=self.scratch)
        git("checkout", "-q", "--detach", expand(checkout["ref"], contexts), cwd=clone)
        files = {name: clone.with_suffix(f".{name}") for name in ("summary", "output", "env")}
        stated = WORKFLOW["env"] | JOBS[job].get("env", {})
        asked = {name: expand(value, contexts) for name, value in stated.items()}
        asked |= {"GITHUB_STEP_SUMMARY": str(files["summary"])}
        asked |= {"GITHUB_OUTPUT": str(files["output"]), "GITHUB_ENV": str(files["env"])}
        asked |= {"RUNNER_TEMP": str(clone.with_suffix(".temp"))}
        clone.with_suffix(".temp").mkdir()
        files["env"].touch()
        output = ""
        for step in (step for step in steps if "run" in step):
            own = {name: expand(value, contexts) for name, value in step.get("env", {}).items()}
            given = dict(line.split("=", 1) for line in files["env"].read_text().splitlines())
            result = subprocess.run(
                ["bash", "-e", "-c", OLD_INSTALL + step["run"]],
                cwd=clone,
                env=self.environment | asked | given | own,
                capture_output=True,
                text=True,
                check=False,
            )
            assert result.returncode == 0, f"{step['run']}\n{result.stdout}\n{result.stderr}"
            output += result.stdout + result.stderr
        lines = files["output"].read_text().splitlines() if files["output"].exists() else []
        outputs = dict(line.split("=", 1) for line in lines)
        return Ran(clone, files["summary"].read_text(), outputs, output)


def git(*arguments: str | Path, cwd: Path) -> str:
    identity = ("-c", "user.name=test", "-c", "user.email=test@localhost")
    return subprocess.run(
        ["git", *identity, *arguments], cwd=cwd, check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture(scope="module")
def store() -> Iterator[dict[str, Any]]:
    """Variables and secrets of a repository whose DVC remote is a bucket on loopback."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    key = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    yield {
        "vars": {"AWS_ENDPOINT_URL_S3": f"http://{host}:{port}", "AWS_DEFAULT_REGION": "us-east-1"},
        "secrets": key,
    }
    server.stop()


@pytest.fixture(scope="module")
def bucket(store: dict[str, Any]) -> Iterator[Any]:
    client = boto3.client(
        "s3",
        endpoint_url=store["vars"]["AWS_ENDPOINT_URL_S3"],
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    client.create_bucket(Bucket=BUCKET)
    yield client
    client.close()


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A private key, as docs/operations.md makes it; its public half is beside it."""
    private = tmp_path_factory.mktemp("key") / "ci.key"
    new = ["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", private]
    half = ["openssl", "ec", "-in", private, "-pubout", "-out", private.with_suffix(".pem")]
    for command in (new, half):
        subprocess.run(command, check=True, capture_output=True)
    return private


@pytest.fixture(scope="module")
def origin(trained: Path, key: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bare repository on whose main no `dvc.lock` is committed; its remote is the bucket.

    Its policies ask for signatures.
    """
    project = tmp_path_factory.mktemp("origin") / "project"
    shutil.copytree(trained, project, ignore=shutil.ignore_patterns(*OF_A_RUN))
    shutil.copy(ROOT / "Makefile", project)
    config = project / ".dvc/config"
    config.write_text(config.read_text().replace("../var/dvc-store", f"s3://{BUCKET}/pneumo"))
    (project / "mlflow/trusted_keys").mkdir()
    shutil.copy(key.with_suffix(".pem"), project / "mlflow/trusted_keys")
    for policy in (project / "mlflow/phantom").glob("*.yaml"):
        policy.write_text(yaml.safe_dump(yaml.safe_load(policy.read_text()) | {"signed": True}))
    git("add", "--all", cwd=project)
    git("commit", "-qm", "settings", cwd=project)
    bare = tmp_path_factory.mktemp("git") / "origin"
    git("init", "-q", "--bare", "--initial-branch=main", bare, cwd=project)
    git("push", "-q", bare, "HEAD:main", cwd=project)
    return bare


@pytest.fixture(scope="module")
def actions(
    origin: Path,
    bucket: Any,  # noqa: ARG001 (must be there)
    store: dict[str, Any],
    environment: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Actions:
    scratch = tmp_path_factory.mktemp("runner")
    mlflow = f"sqlite:///{scratch / 'mlflow.db'}"
    settings = store | {"vars": store["vars"] | {"MLFLOW_TRACKING_URI": mlflow}}
    clean = {name: value for name, value in environment.items() if not name.startswith("AWS_")}
    return Actions(origin, scratch, clean, settings)


def on_main(actions: Actions, run_id: int) -> dict[str, Any]:
    """The context `github` of a scheduled run."""
    return {
        "event_name": "schedule",
        "ref": "refs/heads/main",
        "sha": git("rev-parse", "main", cwd=actions.origin),
        "run_id": run_id,
        "run_attempt": 1,
    }


def branches(origin: Path) -> dict[str, str]:
    lines = git("for-each-ref", "--format=%(refname:short) %(objectname)", cwd=origin)
    return dict(line.split() for line in lines.splitlines())


def num_versions(actions: Actions) -> int:
    from mlflow import MlflowClient

    uri = actions.settings["vars"]["MLFLOW_TRACKING_URI"]
    client = MlflowClient(uri, registry_uri=uri)  # and not what another test left as the default
    return len(client.search_model_versions("name = 'pneumo'"))


@pytest.fixture(scope="module")
def retrained(actions: Actions, trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """The first job of all, in whose repository there is no `dvc.lock`.

    Its runner keeps DVC's cache, which has seen all stages but the evaluation.
    """
    folder = tmp_path_factory.mktemp("kept")
    shutil.copytree(trained / ".dvc" / "cache", folder / "cache")
    for seen in (folder / "cache" / "runs").glob("*/*/*"):
        if "pneumo stage evaluate" in seen.read_text():
            shutil.rmtree(seen.parent)
    (folder / "config").write_text(f"[cache]\n    dir = {folder / 'cache'}\n")
    kept = {"DVC_GLOBAL_CONFIG_DIR": str(folder)}
    runner = replace(actions, environment=actions.environment | kept)
    return runner.run("retrain", github=on_main(actions, 1))


@pytest.fixture(scope="module")
def promoted(actions: Actions, retrained: Ran, key: Path) -> Ran:
    """The job with what only the environment `champion` has."""
    needs = {"retrain": {"outputs": retrained.outputs}}
    secrets = actions.settings["secrets"] | {"PNEUMO_SIGNING_KEY": key.read_text().strip()}
    return actions.run("promote", github=on_main(actions, 1), needs=needs, secrets=secrets)


def test_retraining_leaves_a_branch_its_results_and_no_champion(
    actions: Actions, retrained: Ran, bucket: Any
) -> None:
    commit = retrained.outputs["commit"]
    assert branches(actions.origin)["retrain-1-1"] == commit
    files = git("diff", "--name-only", "main", commit, cwd=actions.origin).split()
    assert files == ["dvc.lock", "ledger/pinned_patients.json", "ledger/test_scoring.jsonl"]
    locked = yaml.safe_load(git("show", f"{commit}:dvc.lock", cwd=actions.origin))["stages"]
    assert "report" in locked
    assert "promote" not in locked
    assert num_versions(actions) == 0
    assert bucket.list_objects_v2(Bucket=BUCKET)["KeyCount"] > 100


def test_summary_of_a_first_run_has_figures_and_says_what_is_missing(retrained: Ran) -> None:
    assert f"Best by validation: **{CELL}**" in retrained.summary
    assert "No results of origin/main are in the DVC store" in retrained.summary
    assert re.search(r"test auroc +here .*├─*●─*┤", retrained.summary)
    roc, reliability = re.findall(r"```mermaid\nxychart-beta\n(.*?)```", retrained.summary, re.S)
    (curve,) = re.findall(r"line \[(.*)\]", roc)
    shares = [float(share) for share in curve.split(", ")]
    assert shares == sorted(shares)
    assert (len(shares), shares[-1]) == (21, 1)
    assert "share with pneumonia" in reliability
    assert "The promote stage has not run yet" in retrained.summary
    assert "| results/evaluate/metrics.json | test_auroc" in retrained.summary


def test_the_artifact_is_the_report_without_films(retrained: Ran) -> None:
    (upload,) = (step["with"] for step in JOBS["retrain"]["steps"] if "upload" in str(step))
    taken = [path for line in upload["path"].split() for path in retrained.clone.glob(line)]
    assert {path.name for path in taken} >= {"report.md", "certificate.ko.html", "report.json"}
    assert "data:image" in (retrained.clone / "reports" / "index.html").read_text()
    assert not any("data:image" in path.read_text() for path in taken)


def test_promotion_adds_the_decision_to_the_branch(
    actions: Actions, retrained: Ran, promoted: Ran
) -> None:
    assert "Nothing to do" in promoted.output  # everything else came from the store
    assert num_versions(actions) == 1
    tip = branches(actions.origin)["retrain-1-1"]
    assert git("rev-parse", f"{tip}^", cwd=actions.origin) == retrained.outputs["commit"]
    assert "ledger/promotions.jsonl" in git("ls-tree", "-r", "--name-only", tip, cwd=actions.origin)
    assert re.search(r"- champion: .*, \*\*(promoted|refused)\*\*", promoted.summary)


def test_the_promotion_is_signed_with_the_key_of_its_environment(
    actions: Actions, promoted: Ran, key: Path
) -> None:
    tip = branches(actions.origin)["retrain-1-1"]
    lines = git("show", f"{tip}:ledger/promotions.jsonl", cwd=actions.origin).splitlines()
    decided = [json.loads(line) for line in lines]
    assert {"signature" in line for line in decided} == {True}
    assert not [why for line in decided for why in line["reasons"] if "key that signs" in why]
    kept = promoted.clone.with_suffix(".temp") / "signing.key"  # which GitHub's runner deletes
    assert kept.stat().st_mode & 0o777 == 0o600
    assert key.read_text().splitlines()[1] not in promoted.output


def test_summary_stands_beside_the_figures_of_a_commit_that_has_results(
    retrained: Ran, promoted: Ran, actions: Actions
) -> None:
    """As after the branch was merged; what that commit has comes from the store."""
    git("branch", "merged", retrained.outputs["commit"], cwd=promoted.clone)
    (described,) = re.findall(r"Best by.*", retrained.summary)
    output = subprocess.run(
        ["pneumo", "diff", "merged"],
        cwd=promoted.clone,
        env=actions.environment | actions.settings["vars"] | actions.settings["secrets"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert f"{described}, in merged {CELL}" in output
    drawn = {side: re.findall(rf"test auroc +{side} +(.*)", output) for side in ("here", "merged")}
    assert drawn["here"] == drawn["merged"] != []
    assert output.count("None.") == 2  # neither parameters nor metrics differ


def test_where_nothing_is_new_there_is_no_branch(actions: Actions, promoted: Ran) -> None:
    before = branches(actions.origin)
    subprocess.run(["make", "--old-file=install", "branch"], cwd=promoted.clone, check=True)
    assert branches(actions.origin) == before


MAIN = {"event_name": "push", "ref": "refs/heads/main", "sha": "old"}
MLFLOW = {"MLFLOW_TRACKING_URI": "http://mlflow"}


@pytest.mark.parametrize(
    ("asked", "github", "variables", "commit"),
    [
        (True, {}, MLFLOW, "new"),
        (True, {"event_name": "workflow_dispatch"}, MLFLOW, "old"),
        (False, {}, MLFLOW, "old"),
        (False, {}, {}, "new"),
        (False, {"event_name": "workflow_dispatch", "ref": "refs/heads/x"}, MLFLOW, "new"),
    ],
    ids=["new", "by hand", "nothing new", "no registry", "other branch"],
)
def test_only_main_promotes_and_only_through_the_environment(
    asked: bool, github: dict[str, str], variables: dict[str, str], commit: str
) -> None:
    needs = {"retrain": {"outputs": {"commit": commit}}}
    contexts = {"github": MAIN | github, "vars": variables, "needs": needs}
    assert bool(evaluate(JOBS["promote"]["if"], contexts)) == asked
    assert JOBS["promote"]["environment"] == "champion"
    promoting = [job for job in JOBS if "make promote" in str(JOBS[job]["steps"])]
    assert promoting == ["promote"]


def test_no_key_reaches_a_pull_request_and_only_the_promotion_knows_the_registry() -> None:
    """Each key is one of an environment, which says who may start a job that has it."""
    assert set(WORKFLOW[True]) == {"workflow_dispatch", "schedule", "push"}  # YAML reads `on` so
    assert {name: job["environment"] for name, job in JOBS.items()} == {
        "retrain": "retrain",
        "promote": "champion",
    }
    knows = [name for name, job in JOBS.items() if "MLFLOW" in str(job.get("env"))]
    assert knows == ["promote"]
    assert "MLFLOW" not in str(WORKFLOW["env"])
    signs = [name for name, job in JOBS.items() if "secrets.PNEUMO_SIGNING_KEY" in str(job)]
    assert signs == ["promote"]
    assert "SIGNING_KEY" not in str(WORKFLOW["env"]) + str(JOBS["promote"]["env"])  # in one step


def test_a_wrong_revision_is_one_sentence(retrained: Ran, run: Callable[..., Any]) -> None:
    result = run("pneumo", "diff", "nowhere", cwd=retrained.clone)
    assert result.returncode == 1
    assert "DVC cannot compare with nowhere" in result.stderr
    assert "Traceback" not in result.stderr
