"""Versions are marked by what their bundles know, and the policy of a role decides what follows."""

import hashlib
import subprocess
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import yaml

from flows.serving.models import load_model, successor
from pneumo_core import params
from pneumo_core.data import manifest
from pneumo_core.errors import ErasureError, NotTrustedError
from pneumo_core.preparation import pins
from pneumo_core.preparation.pins import Pins
from pneumo_core.salt import read_or_make
from pneumo_core.sources import identity
from pneumo_core.sources.erased import Erased
from tasks import ledger, paths, promote
from tasks.erasure import erase, registry, stores
from tasks.erasure.registry import JUDGED, LEARNED, NOT_KNOWN
from tasks.registry import model_versions, rollback
from tests.tasks.registry.test_rollback import FULL, PARTIAL

Promote = Callable[..., str]


@pytest.fixture(autouse=True)
def with_dvc(project: Path) -> None:
    """The project as a repository of git and DVC, with a remote in it."""
    (project / ".dvc").mkdir()
    remote("local", project / "var" / "dvc-store")
    for command in (
        ["git", "init", "-q"],
        ["git", "add", ".dvc"],
        ["git", "-c", "user.name=t", "-c", "user.email=t@localhost", "commit", "-qm", "start"],
    ):
        subprocess.run(command, check=True, capture_output=True)


def remote(name: str, address: Path | str) -> None:
    """Make it the only remote of DVC."""
    Path(".dvc/config").write_text(f"['remote \"{name}\"']\n    url = {address}\n")


def patients(split: str) -> pd.Series:
    return manifest.kept(manifest.read(paths.SPLIT), split)["patient_key"]


def policy(**changed: object) -> None:
    path = Path(params.load().promote.policies) / "champion.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | changed))


def test_a_version_is_known_by_its_films_and_by_its_manifest(promote_cell: Promote) -> None:
    promote_cell(FULL)
    for split, relation in (("train", LEARNED), ("test", JUDGED)):
        (found,) = erase.plan(patients(split).iloc[0]).survey["registry"]
        assert found.where == f"pneumo version 1: {relation}"


def test_a_version_of_data_that_no_store_has_counts_too(promote_cell: Promote) -> None:
    promote_cell(FULL)
    nobody = Erased(b"s" * 64).with_patient("nobody", ["nothing"], [])
    own = frozenset({hashlib.sha256(paths.SPLIT.read_bytes()).hexdigest()})
    assert registry.relations("pneumo", nobody, own) == []
    assert registry.relations("pneumo", nobody, None) == []
    ((version, relation),) = registry.relations("pneumo", nobody, frozenset())
    assert (str(version.version), relation) == ("1", NOT_KNOWN)


def test_by_its_policy_a_marked_version_is_used_no_more_but_a_service_goes_on(
    promote_cell: Promote, capsys: pytest.CaptureFixture[str]
) -> None:
    promote_cell(PARTIAL)
    promote_cell(FULL)
    serving = load_model(None, "champion")
    planned = erase.plan(patients("train").iloc[0])
    for each in planned.survey["registry"]:
        each.remove()
    for use in (
        lambda: load_model(None, "champion"),
        lambda: successor(serving),  # the log and /readyz have this; the model stays
        lambda: rollback.roll_back("pneumo", "champion", None, "back"),
    ):
        with pytest.raises(NotTrustedError, match="a patient who was erased"):
            use()
    assert any("a patient who was erased" in fault for fault in rollback.verify("pneumo"))
    settings = params.load().promote
    proposal = promote.propose(settings, "champion")
    assert "champion is not compared" in capsys.readouterr().out
    (gate,) = (each for each in proposal.decision.gates if each.name == "withdrawn before")
    assert not gate.passed
    assert "which is not used any more" in erase.aliases(planned.patient)[0]

    policy(erased="may_serve")
    assert load_model(None, "champion").version == "2"
    assert successor(serving) is None
    assert rollback.verify("pneumo") == []
    assert "may serve until the next training" in erase.aliases(planned.patient)[0]


def test_an_erasure_that_was_stopped_goes_on(
    promote_cell: Promote, monkeypatch: pytest.MonkeyPatch
) -> None:
    promote_cell(FULL)
    key = str(patients("train").iloc[0])
    planned = erase.plan(key)
    last = planned.survey["results"][-1]
    assert last.num_films

    def fail(*_: object) -> None:
        raise OSError("Read-only file system")

    with monkeypatch.context() as patch:
        patch.setattr(stores.LocalFolder, "remove", fail)
        with pytest.raises(ErasureError, match=r"The store \w+ cannot be cleared"):
            erase.carry_out(planned, "consent withdrawn")
    assert not paths.ERASURE_LEDGER.exists()
    for path in Path("results").rglob("*.parquet"):
        path.unlink()  # what the search began with is gone
    again = erase.plan(key)
    assert not again.is_done
    assert again.survey["registry"] == []  # it was marked
    done = erase.carry_out(again, "consent withdrawn")
    assert done.is_done
    assert erase.check(key)[0].is_done
    assert ledger.broken_links(paths.ERASURE_LEDGER) == []
    assert model_versions.aliases("pneumo") == {"champion": "1"}


def test_a_pin_is_taken_out(project: Path) -> None:  # noqa: ARG001
    key = str(patients("test").iloc[0])
    named = identity.find(identity.read(paths.NAMES), key)["patient"]
    salt = read_or_make(paths.SALT)
    hashed, other = (pins.hash_of(name, salt) for name in (named, "another"))
    pins.write(Pins(salt, {hashed: "test", other: "test"}), paths.PINNED_PATIENTS)
    planned = erase.plan(key)
    assert [each.where for each in planned.survey["ledger"]] == [str(paths.PINNED_PATIENTS)]
    erase.carry_out(planned, "consent withdrawn")
    assert hashed not in paths.PINNED_PATIENTS.read_text()
    assert other in paths.PINNED_PATIENTS.read_text()


def test_a_patient_whom_nobody_knows_is_told(project: Path) -> None:  # noqa: ARG001
    with pytest.raises(ErasureError, match="has this patient"):
        erase.plan("nobody")
    with pytest.raises(ErasureError, match="not on the list"):
        erase.check("nobody")


def test_a_remote_that_cannot_be_searched_stops_everything(project: Path) -> None:
    key = str(patients("test").iloc[0])
    for name, address, message in (
        ("nas", project.parent / "not-mounted", "not-mounted is not there"),
        ("cloud", "gs://bucket/store", r"cloud \(gs\) is of a kind that pneumo cannot search"),
    ):
        remote(name, address)
        with pytest.raises(ErasureError, match=message):
            erase.plan(key)
