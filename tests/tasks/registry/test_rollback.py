"""The ledger, the registry and the bundles: back to a former model, and whether they agree."""

import hashlib
import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import mlflow
import pytest
from fastapi.testclient import TestClient

from flows.serving.app import Limits, create_app
from flows.serving.models import load_model, successor
from pneumo_core.data import manifest
from pneumo_core.errors import BundleError, PromotionError
from tasks import ledger, paths
from tasks.registry import model_versions, rollback
from tasks.tracking import connection

FULL, PARTIAL = "test_efficientnet-full", "test_efficientnet-partial"
Promote = Callable[..., str]


@pytest.fixture
def two_champions(promote_cell: Promote) -> None:
    """Version 1 was champion, version 2 is."""
    assert promote_cell(PARTIAL) == "1"
    assert promote_cell(FULL) == "2"


def champion() -> str:
    return model_versions.aliases("pneumo")["champion"]


def in_registry(version: str) -> Path:
    """Where the embedded registry keeps a version's bundle and sample."""
    model_id = model_versions.versions("pneumo")[version].source.rpartition("/")[2]
    return paths.SCRATCH / "mlartifacts" / "models" / model_id / "artifacts" / "artifacts"


def sign(bundle: Path) -> str:
    """Consistent checksums for whatever is in the bundle; gives its new identity."""
    signed = json.loads((bundle / "checksums.json").read_text())
    sums = {name: hashlib.sha256((bundle / name).read_bytes()).hexdigest() for name in signed}
    (bundle / "checksums.json").write_text(json.dumps(sums))
    return hashlib.sha256((bundle / "checksums.json").read_bytes()).hexdigest()


def alter(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 0xFF
    path.write_bytes(data)


def other_slope(version: str) -> None:
    bundle = in_registry(version) / "bundle"
    content = json.loads((bundle / "bundle.json").read_text()) | {"slope": 9.0}
    (bundle / "bundle.json").write_text(json.dumps(content))
    sign(bundle)


def other_probabilities(version: str) -> None:
    path = in_registry(version) / "pinned_sample.json"
    sample = json.loads(path.read_text())
    sample[3]["probability"] += 0.01
    path.write_text(json.dumps(sample))


def film_of_sample() -> Path:
    sample = json.loads((in_registry("1") / "pinned_sample.json").read_text())
    table = manifest.read(paths.SPLIT).set_index("sha256")
    return paths.RAW / table.loc[sample[0]["sha256"], "path"]


@pytest.mark.usefixtures("two_champions")
def test_rollback_gives_the_role_back_and_writes_it_down() -> None:
    assert rollback.roll_back("pneumo", "champion", None, "misses infants") == ("1", None)
    assert champion() == "1"
    last = ledger.read(paths.PROMOTION_LEDGER)[-1]
    assert (last["outcome"], last["version"], last["champion"]) == ("rolled back", "1", "2")
    assert last["reasons"] == ["misses infants"]
    assert last["deviation"] < 1e-4
    shown = str(model_versions.versions("pneumo")["1"].description)
    became = r"Became \*\*champion\*\* again on [-0-9: ]+ UTC, by a rollback of `.+`: (.+)\."
    assert re.match(became, shown)[1] == "misses infants"
    assert rollback.verify("pneumo") == []
    lines = paths.PROMOTION_LEDGER.read_bytes().splitlines(keepends=True)
    paths.PROMOTION_LEDGER.write_bytes(b"".join(lines[:-1]))
    lost = "version 1: the ledger has lost the line"
    assert [fault for fault in rollback.verify("pneumo") if fault.startswith(lost)]


@pytest.mark.usefixtures("two_champions")
def test_what_was_rolled_back_returns_only_by_name() -> None:
    rollback.roll_back("pneumo", "champion", None, "misses infants")
    message = "no champion before version 1; version 2 was withdrawn .*misses infants.*--to VERSION"
    with pytest.raises(PromotionError, match=message):
        rollback.roll_back("pneumo", "champion", None, "once more")
    version, withdrawn = rollback.roll_back("pneumo", "champion", "2", "it was the scanner")
    assert version == "2"
    assert str(withdrawn).endswith(": misses infants")
    assert champion() == "2"


@pytest.mark.usefixtures("two_champions")
def test_a_copied_project_rolls_back_in_its_own_registry_alone(
    project: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path_factory.mktemp("copies") / "a copy"
    shutil.copytree(project, copy, symlinks=True)
    before = {path: path.lstat().st_mtime_ns for path in project.rglob("*")}
    monkeypatch.chdir(copy)
    monkeypatch.delenv("MLFLOW_TRACKING_URI")  # MLflow exports what this process used first
    assert rollback.roll_back("pneumo", "champion", None, "a test") == ("1", None)
    assert rollback.verify("pneumo") == []
    assert {path: path.lstat().st_mtime_ns for path in project.rglob("*")} == before


@pytest.mark.usefixtures("two_champions")
def test_nightly_run_does_not_promote_what_was_rolled_back(project: Path) -> None:
    from pneumo_core import params
    from tasks.promote import propose

    settings = params.load(project / "params.yaml").promote
    before = propose(settings, "champion")
    assert before.cell == FULL
    rollback.roll_back("pneumo", "champion", None, "misses infants")
    reasons = propose(settings, "champion").decision.reasons
    assert [why for why in reasons if "withdrawn before" in why and "misses infants" in why]
    assert not [why for why in before.decision.reasons if "withdrawn" in why]


@contextmanager
def restored(folder: Path) -> Iterator[None]:
    """Whatever is done to the folder in here is undone."""
    with tempfile.TemporaryDirectory() as scratch:
        shutil.copytree(folder, Path(scratch) / "kept")
        yield
        shutil.rmtree(folder)
        shutil.copytree(Path(scratch) / "kept", folder)


DAMAGES: list[tuple[Callable[[], object], str]] = [
    (lambda: alter(in_registry("1") / "bundle" / "weights.safetensors"), "altered"),
    (lambda: other_slope("1"), "not the one registered"),
    (lambda: (in_registry("1") / "bundle" / "bundle.json").unlink(), "missing"),
    (lambda: other_probabilities("1"), "off by 0.0100"),
    (lambda: (in_registry("1") / "pinned_sample.json").write_text("[]"), "no pinned sample"),
    (lambda: film_of_sample().unlink(), "is not here"),
    (lambda: alter(film_of_sample()), "has changed since"),
]


@pytest.mark.usefixtures("two_champions")
def test_rollback_to_what_is_not_what_it_was_is_refused() -> None:
    lines = paths.PROMOTION_LEDGER.read_bytes()
    for damage, message in DAMAGES:
        with restored(in_registry("1")), restored(paths.RAW):
            damage()
            with pytest.raises((BundleError, PromotionError), match=message):
                rollback.roll_back("pneumo", "champion", None, "why")
        assert champion() == "2"
        assert paths.PROMOTION_LEDGER.read_bytes() == lines
    assert rollback.roll_back("pneumo", "champion", None, "nothing is wrong with it")[0] == "1"


@pytest.mark.usefixtures("two_champions")
def test_rollback_to_another_bundle_than_that_of_the_ledger_is_refused() -> None:
    path = paths.PROMOTION_LEDGER
    bundle = next(entry["bundle_sha256"] for entry in ledger.read(path) if entry["version"] == "1")
    path.write_bytes(path.read_bytes().replace(bundle.encode(), b"f" * 64))
    with pytest.raises(BundleError, match="is not the bundle that the ledger says it is"):
        rollback.roll_back("pneumo", "champion", None, "why")
    assert champion() == "2"


@pytest.mark.usefixtures("two_champions")
def test_rollback_as_it_is_typed(
    project: Path, typed: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    command = ("pneumo", "registry", "rollback", "--alias", "champion", "--why", "misses infants")
    for damage, message in (DAMAGES[0], DAMAGES[3]):  # the weights, and what they said of a film
        with restored(in_registry("1")):
            damage()
            refused = typed(*command, cwd=project)
        assert (refused.returncode, champion()) == (1, "2")
        assert message in refused.stderr
        assert "Traceback" not in refused.stderr
    done = typed(*command, cwd=project)
    assert (done.returncode, champion()) == (0, "1"), done.stderr
    assert done.stdout == "pneumo@champion is version 1 again.\n"


@pytest.mark.usefixtures("two_champions")
def test_rollback_goes_only_to_a_former_bearer() -> None:
    for version in ("2", "7"):
        with pytest.raises(PromotionError, match=f"{version} is no former champion; those are: 1"):
            rollback.roll_back("pneumo", "champion", version, "why")
    with pytest.raises(PromotionError, match="nobody ever was screening"):
        rollback.roll_back("pneumo", "screening", "1", "why")
    assert champion() == "2"


def lose_last_line() -> None:
    lines = paths.PROMOTION_LEDGER.read_bytes().splitlines(keepends=True)
    paths.PROMOTION_LEDGER.write_bytes(b"".join(lines[:-1]))


def soften_history() -> None:
    text = paths.PROMOTION_LEDGER.read_text().replace('"who": "', '"who": "not ', 1)
    paths.PROMOTION_LEDGER.write_text(text)


def set_clock_back() -> None:
    line = {"model": "pneumo", "role": "champion", "outcome": "refused", "version": ""}
    ledger.append(paths.PROMOTION_LEDGER, **line, time="2020-01-01T00:00:00+00:00")


DISAGREEMENTS: list[tuple[Callable[[], object], list[str]]] = [
    (
        lambda: model_versions.set_alias("pneumo", "champion", "1"),
        ["champion: version 2 by the ledger, 1 by the registry"],
    ),
    (
        lambda: model_versions.set_alias("pneumo", "canary", "1"),
        ["canary: version None by the ledger, 1 by the registry"],
    ),
    (
        lambda: alter(in_registry("1") / "bundle" / "weights.safetensors"),
        ["weights.safetensors was altered"],
    ),
    (
        soften_history,
        ["line 2 does not follow", "version 1: the ledger has lost the line that champion_line"],
    ),
    (lose_last_line, ["version 2: in the registry, not in the ledger"]),
    (
        lambda: connection.connect().set_model_version_tag("pneumo", "1", "bundle_sha256", "0"),
        ["version 1: ledger and registry name different bundles"],
    ),
    (
        lambda: connection.connect().delete_model_version("pneumo", "1"),
        ["version 1: in the ledger, not in the registry"],
    ),
    (set_clock_back, ["ledger: line 2 is earlier than the one before"]),
]


@pytest.mark.usefixtures("two_champions")
def test_every_disagreement_is_told() -> None:
    """One is added to the other, and each is new."""
    for damage, message in DISAGREEMENTS:
        before = rollback.verify("pneumo")
        damage()
        after = rollback.verify("pneumo")
        for sentence in message:
            assert not [fault for fault in before if sentence in fault]
            assert [fault for fault in after if sentence in fault], sentence


def forge(version: str, folder: Path) -> str:
    """Make a version with MLflow's API alone and give it the alias, as an intruder would."""
    mlflow.artifacts.download_artifacts(f"models:/pneumo/{version}", dst_path=str(folder))
    bundle = folder / "artifacts" / "bundle"
    content = json.loads((bundle / "bundle.json").read_text())
    for point in content["operating_points"].values():
        point["threshold"] = 0.9999999
    (bundle / "bundle.json").write_text(json.dumps(content))
    client, tags = connection.connect(), {model_versions.BUNDLE_TAG: sign(bundle)}
    made = client.create_model_version("pneumo", str(folder), tags=tags)
    client.set_registered_model_alias("pneumo", "champion", str(made.version))
    return str(made.version)


@pytest.mark.usefixtures("two_champions")
def test_version_that_only_the_registry_knows_is_not_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    model = load_model(None, "champion")
    assert (model.version, model.in_ledger) == ("2", True)
    assert forge("2", tmp_path / "forged") == "3"
    with monkeypatch.context() as patch:
        patch.setattr(model_versions, "require_promoted", lambda *_: None)
        assert load_model(None, "champion").reader.threshold == 0.9999999, "it is a whole model"
    message = "pneumo@champion is version 3 in the registry, but version 2 by ledger/promotions"
    with pytest.raises(PromotionError, match=message):
        load_model(None, "champion")
    app = create_app(model, successor, Limits(poll_s=0.02))
    with TestClient(app) as client:
        while not client.get("/readyz").json()["newer_refused"]:
            pass
        assert client.get("/v1/model").json()["model"]["version"] == "2"
    assert message in caplog.text


@pytest.mark.usefixtures("two_champions")
def test_model_whose_ledger_says_otherwise_is_not_used() -> None:
    """What `verify` tells is not used either: an older version, any alias, an altered ledger."""
    lines = paths.PROMOTION_LEDGER.read_bytes()
    model_versions.set_alias("pneumo", "champion", "1")
    with pytest.raises(PromotionError, match="version 1 in the registry, but version 2 by"):
        model_versions.champion_bundle("pneumo", "champion")
    model_versions.set_alias("pneumo", "canary", "2")
    with pytest.raises(PromotionError, match="version 2 in the registry, but no version by"):
        model_versions.champion_bundle("pneumo", "canary")
    model_versions.set_alias("pneumo", "champion", "2")
    for damage, message in ((soften_history, "line 2 does not"), (lose_last_line, "version 1 by")):
        damage()
        with pytest.raises(PromotionError, match=message):
            model_versions.champion_bundle("pneumo", "champion")
        paths.PROMOTION_LEDGER.write_bytes(lines)
    paths.PROMOTION_LEDGER.unlink()
    with pytest.raises(PromotionError, match="no version by"):
        model_versions.champion_bundle("pneumo", "champion")


def test_kill_between_the_line_and_the_alias_is_told_and_mended(
    promote_cell: Promote, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: str) -> None:
        raise KeyboardInterrupt

    promote_cell(FULL)
    with monkeypatch.context() as patch:
        patch.setattr(model_versions, "set_alias", die)
        with pytest.raises(KeyboardInterrupt):
            promote_cell(PARTIAL)
    assert champion() == "1"
    assert rollback.verify("pneumo") == ["champion: version 2 by the ledger, 1 by the registry"]
    assert promote_cell(PARTIAL) == "2"
    assert rollback.verify("pneumo") == []


@pytest.mark.usefixtures("two_champions")
def test_champion_that_was_tampered_with_is_not_used() -> None:
    alter(in_registry("2") / "bundle" / "weights.safetensors")
    with pytest.raises(BundleError, match="altered"):
        model_versions.champion_bundle("pneumo", "champion")
    assert not list((paths.SCRATCH / "registry").glob("*"))


@pytest.mark.usefixtures("two_champions")
def test_copy_on_this_machine_that_was_tampered_with_is_not_used() -> None:
    folder, version = model_versions.champion_bundle("pneumo", "champion")
    assert version == "2"
    alter(folder / "weights.safetensors")
    with pytest.raises(BundleError, match="altered"):
        model_versions.champion_bundle("pneumo", "champion")


@pytest.mark.usefixtures("two_champions")
def test_champion_of_another_bundle_format_stays_and_the_reason_is_told(project: Path) -> None:
    """What an update of pneumo may meet: nothing is promoted over a model it cannot read."""
    from pneumo_core import params
    from pneumo_core.promotion import policy as policies
    from tasks.promote import scored

    bundle = in_registry("2") / "bundle"
    content = json.loads((bundle / "bundle.json").read_text()) | {"format_version": 2}
    (bundle / "bundle.json").write_text(json.dumps(content))
    connection.connect().set_model_version_tag("pneumo", "2", "bundle_sha256", sign(bundle))
    settings = params.load(project / "params.yaml").promote
    policy = policies.load(Path(settings.policies) / "champion.yaml")
    found = scored(model_versions.find_champion("pneumo", "champion"), "champion", policy)
    assert found is not None
    assert found.reading is None
    assert "bundle format 2, this code reads 4" in str(found.obstacle)


def test_registry_out_of_reach_is_not_an_empty_one(
    project: Path,  # noqa: ARG001 (entered)
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(PromotionError, match="cannot be read"):
        model_versions.find_champion("pneumo", "champion")
    with pytest.raises(PromotionError, match="does not do what was asked"):
        rollback.verify("pneumo")
