"""Signed models: whoever can write everything but has no key gets nothing used.

The attacker recomputes every checksum, tag, hash and link of the chain that stands in the way.
"""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import mlflow
import pytest
import yaml

from flows.serving.models import load_model, successor
from pneumo_core import params
from pneumo_core.errors import NotTrustedError, SignatureError
from pneumo_core.models import bundle
from pneumo_core.promotion import policy as policies
from tasks import paths, promote, signing
from tasks.registry import model_versions, rollback
from tasks.registry.model_versions import BUNDLE_TAG
from tasks.tracking import connection
from tests.tasks.registry.test_rollback import FULL, PARTIAL, in_registry, sign

Promote = Callable[..., str]


def revoke(name: str) -> None:
    (paths.TRUSTED_KEYS / "revoked").mkdir()
    (paths.TRUSTED_KEYS / f"{name}.pem").rename(paths.TRUSTED_KEYS / "revoked" / f"{name}.pem")


def ask_for_signatures() -> None:
    policy = Path(params.load().promote.policies) / "champion.yaml"
    policy.write_text(yaml.safe_dump(yaml.safe_load(policy.read_text()) | {"signed": True}))


@pytest.fixture
def anna(
    project: Path,  # noqa: ARG001
    key_pair: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """A key that signs, of a project whose policy asks for signatures."""
    key = key_pair("anna")
    paths.TRUSTED_KEYS.symlink_to(key.parent / "trusted_keys")
    monkeypatch.setenv(signing.PRIVATE_KEY, str(key))
    ask_for_signatures()
    return key


@pytest.fixture
def two_champions(anna: Path, promote_cell: Promote) -> None:  # noqa: ARG001
    """Version 1 was champion, version 2 is; both are signed."""
    assert promote_cell(PARTIAL) == "1"
    assert promote_cell(FULL) == "2"
    assert rollback.verify("pneumo") == []


def rewrite_ledger(change: Callable[[dict[str, object]], None]) -> None:
    """Change the last line, and link it to the one before, as anybody can."""
    *before, last = paths.PROMOTION_LEDGER.read_bytes().splitlines()
    entry = json.loads(last)
    change(entry)
    changed = b"\n".join([*before, json.dumps(entry).encode()]) + b"\n"
    paths.PROMOTION_LEDGER.write_bytes(changed)
    tag = hashlib.sha256(changed.splitlines()[-1]).hexdigest()
    connection.connect().set_model_version_tag("pneumo", "2", "champion_line", tag)


def take_over(version: str) -> None:
    """Make checksums, the registry's tag and the ledger say what is in the bundle now."""
    identity = sign(in_registry(version) / "bundle")
    connection.connect().set_model_version_tag("pneumo", version, BUNDLE_TAG, identity)
    rewrite_ledger(lambda entry: entry.update(bundle_sha256=identity))


def other_thresholds() -> None:
    path = in_registry("2") / "bundle" / bundle.DESCRIPTION
    content = json.loads(path.read_text())
    content["operating_points"]["reading_aid"]["threshold"] = 0.9999999
    path.write_text(json.dumps(content))
    take_over("2")


def other_onnx() -> None:
    with (in_registry("2") / "bundle" / bundle.ONNX).open("ab") as file:
        file.write(b"\0")
    take_over("2")


def other_statement() -> None:
    path = in_registry("2") / "statement.json"
    path.write_text(path.read_text().replace('"tf_', '"').replace("urn:pneumo:", "urn:other:"))


def other_sample() -> None:
    (in_registry("2") / paths.SAMPLE).write_text("[]")


def stripped() -> None:
    """No signature, and no tag that tells of one."""
    (in_registry("2") / "model.sig").unlink()
    connection.connect().delete_model_version_tag("pneumo", "2", "signed_by")


def unsigned_line() -> None:
    def strip(entry: dict[str, object]) -> None:
        del entry["signature"], entry["key"]

    rewrite_ledger(strip)


def other_line() -> None:
    rewrite_ledger(lambda entry: entry.update(reasons=["better"]))


ATTACKS = (
    other_thresholds,
    other_onnx,
    other_statement,
    other_sample,
    stripped,
    unsigned_line,
    other_line,
)


def mlflow_flavour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PNEUMO_TRUSTED_KEYS", str(paths.TRUSTED_KEYS.absolute()))
    connection.connect()
    mlflow.pyfunc.load_model("models:/pneumo/2")


@pytest.mark.slow
@pytest.mark.usefixtures("two_champions")
@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_what_was_altered_is_used_nowhere(
    attack: Callable[[], None], monkeypatch: pytest.MonkeyPatch, anna: Path
) -> None:
    first = load_model(None, "champion")  # of a service that runs already
    shutil.rmtree(paths.SCRATCH / "registry")  # copies here, which nobody altered
    attack()
    monkeypatch.delenv(signing.PRIVATE_KEY)
    places: list[Callable[[], object]] = [
        lambda: model_versions.champion_bundle("pneumo", "champion"),  # predict, evaluate, release
        lambda: load_model(None, "champion"),  # serve
        lambda: successor(type(first)(first.reader, "pneumo", "1", "champion", True)),
    ]
    for place in places:
        with pytest.raises(SignatureError):
            place()
    assert rollback.verify("pneumo")  # `pneumo registry verify` and `pneumo verify`
    if attack not in (unsigned_line, other_line):  # of which the version itself knows nothing
        with pytest.raises(Exception, match=r"signed|altered"):
            mlflow_flavour(monkeypatch)
        monkeypatch.setenv(signing.PRIVATE_KEY, str(anna))
        rollback.roll_back("pneumo", "champion", "1", "it was altered")
        with pytest.raises(SignatureError):
            rollback.roll_back("pneumo", "champion", "2", "it was altered")


@pytest.mark.slow
@pytest.mark.usefixtures("two_champions")
def test_nothing_of_a_revoked_key_is_used_and_another_key_takes_over(
    promote_cell: Promote, key_pair: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = params.load().promote
    revoke("anna")
    for place in (
        lambda: model_versions.champion_bundle("pneumo", "champion"),
        lambda: load_model(None, "champion"),
    ):
        with pytest.raises(NotTrustedError, match="the key anna, which was revoked"):
            place()
    assert [f for f in rollback.verify("pneumo") if "champion" in f and "revoked" in f]
    for act in (
        lambda: promote_cell(PARTIAL),
        lambda: rollback.roll_back("pneumo", "champion", None, "it leaked"),
    ):
        with pytest.raises(SignatureError, match=r"does not trust, or no longer|revoked"):
            act()
    monkeypatch.setenv(signing.PRIVATE_KEY, str(key_pair("berta")))
    with pytest.raises(NotTrustedError, match="revoked"):
        rollback.roll_back("pneumo", "champion", None, "it leaked")
    in_use = model_versions.find_champion("pneumo", "champion")
    policy = policies.of_role(settings, "champion")
    assert promote.scored(in_use, "champion", policy) is None  # no bar for the next one
    assert promote_cell(FULL) == "3"  # the same bundle, signed anew
    assert load_model(None, "champion").version == "3"
    assert rollback.verify("pneumo") == []


@pytest.mark.usefixtures("anna")
def test_without_a_key_no_model_gets_a_role_that_asks_for_signatures(
    promote_cell: Promote,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(signing.PRIVATE_KEY)
    policy = policies.of_role(params.load().promote, "champion")
    (gate,) = promote.obstacles(policy)
    assert str(gate) == "key that signs: missing, asked for: PNEUMO_SIGNING_KEY"
    promote_cell(FULL)  # as somebody with another program
    with pytest.raises(NotTrustedError, match="is not signed, and its policy asks for it"):
        load_model(None, "champion")
    assert [f for f in rollback.verify("pneumo") if "is not signed" in f]


@pytest.mark.usefixtures("anna")
def test_the_statement_tells_where_the_model_is_from_and_no_place(promote_cell: Promote) -> None:
    promote_cell(FULL)
    text = (in_registry("1") / "statement.json").read_text()
    found = json.loads(text)
    (subject,) = found["subject"]
    identity = bundle.identity(in_registry("1") / "bundle")
    assert subject["digest"]["sha256"] == identity
    named = found["predicate"]["buildDefinition"]["resolvedDependencies"]
    assert {each["name"] for each in named} >= {"films", str(paths.CERTIFICATE)}
    assert "phantom.yaml" not in text
    metrics = paths.EVALUATED / FULL / "test" / "metrics.json"
    metrics.write_text(metrics.read_text() + " ")
    assert rollback.verify("pneumo") == [
        f"version 1: {metrics} is not the one that its statement names"
    ]
    settings = yaml.safe_load(params.FILE.read_text())
    settings["evaluate"]["num_draws"] += 100  # another evaluation of the same model
    params.FILE.write_text(yaml.safe_dump(settings))
    assert rollback.verify("pneumo") == []
