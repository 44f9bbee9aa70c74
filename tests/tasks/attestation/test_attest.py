"""The phantom's champion: every claim holds here, and what is altered is named."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from pneumo_core import params
from pneumo_core.data import manifest
from pneumo_core.data.packed import PackedImages
from pneumo_core.promotion.signatures import STATEMENT, PrivateKey
from tasks import paths, promote
from tasks.attestation import attest
from tasks.attestation.claims import DIFFERS, EQUAL, NOT_CHECKED, WITHIN
from tasks.attestation.subject import Subject
from tasks.registry import registration

Statement = dict[str, Any]
GATES = {"gates of champion", "gates of screening"}


@pytest.fixture(scope="module")
def place(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A copy of the project that has run, entered; it trusts a key."""
    folder = tmp_path_factory.mktemp("attested") / "project"
    shutil.copytree(trained, folder, symlinks=True)
    before = Path.cwd()
    os.chdir(folder)
    yield folder
    os.chdir(before)


@pytest.fixture(scope="module")
def key(place: Path) -> PrivateKey:
    made = ec.generate_private_key(ec.SECP256R1())
    private, public = place.parent / "anna.key", place / paths.TRUSTED_KEYS / "anna.pem"
    public.parent.mkdir(parents=True)
    half = made.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    public.write_bytes(half)
    private.write_bytes(
        made.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    )
    private.chmod(0o600)
    return PrivateKey(private)


@pytest.fixture(scope="module")
def signed(place: Path, key: PrivateKey) -> Path:
    """The champion as a promotion registers it where a key signs."""
    asked = params.load().promote
    proposals = [promote.propose(asked, role) for role in asked.roles]
    folder = place.parent / "signed"
    folder.mkdir()
    decisions = {each.role: promote.stated(each) for each in proposals}
    return registration.gather(str(proposals[0].cell), folder, key, decisions)


@pytest.fixture
def model(signed: Path, tmp_path: Path) -> Path:
    """A copy to alter."""
    return shutil.copytree(signed, tmp_path / "model")


def verdicts(folder: Path) -> dict[str, str]:
    claims = attest.attest(Subject.read(folder, seed=0))
    return {claim.name: claim.verdict for claim in claims}


def named(folder: Path) -> set[str]:
    return {name for name, verdict in verdicts(folder).items() if verdict == DIFFERS}


def check(folder: Path, name: str) -> tuple[str, str]:
    """The verdict on one claim, and why."""
    claim = attest.check(Subject.read(folder, seed=0), name)
    return claim.verdict, claim.detail


def alter(folder: Path, change: Callable[[Statement], object], key: PrivateKey) -> None:
    """Change the statement; whoever does it has a trusted key."""
    path = folder / STATEMENT
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    (folder / "model.sig").unlink()
    key.sign_folder(folder)


@pytest.fixture
def restored(place: Path) -> Iterator[Callable[[Path], Path]]:
    """Keeps a file of the project, which is put back at the end."""
    kept: dict[Path, bytes] = {}

    def keep(path: Path) -> Path:
        kept[place / path] = (place / path).read_bytes()
        return place / path

    yield keep
    for path, content in kept.items():
        path.write_bytes(content)


def test_every_claim_of_the_phantoms_champion_holds_and_nothing_changes(
    signed: Path, place: Path
) -> None:
    watched = ("results", "reports", "ledger", "mlflow", "dvc.lock", "params.yaml")
    before = _state(place, watched)
    found = verdicts(signed)
    assert found.keys() == {*attest.STATED, *attest.COMPUTED, *GATES}
    assert set(found.values()) == {EQUAL}
    assert _state(place, watched) == before


def _state(folder: Path, watched: tuple[str, ...]) -> dict[Path, tuple[int, int]]:
    files = [path for name in watched for path in [folder / name, *(folder / name).rglob("*")]]
    return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in files}


def _definition(statement: Statement) -> Statement:
    return statement["predicate"]["buildDefinition"]


def _dependency(statement: Statement, name: str) -> Statement:
    named = _definition(statement)["resolvedDependencies"]
    return next(each for each in named if each["name"].endswith(name))


def _gate(statement: Statement) -> Statement:
    gates = statement["predicate"]["pneumo_decisions"]["champion"]["gates"]
    return next(gate for gate in gates if gate["name"] == "auroc, lower bound")


ALTERED: dict[str, tuple[str, Callable[[Statement], object]]] = {
    "bundle": ("model", lambda s: s["subject"][0]["digest"].update(sha256="0" * 64)),
    "commit": ("commit", lambda s: _dependency(s, "git")["digest"].update(gitCommit="0" * 40)),
    "lock": ("dvc.lock", lambda s: _dependency(s, "lock")["digest"].update(sha256="0" * 64)),
    "seed": ("parameters", lambda s: _definition(s)["externalParameters"]["split"].update(seed=9)),
    "section": ("parameters", lambda s: _definition(s)["externalParameters"].pop("augment")),
    "films": ("films", lambda s: _dependency(s, "films")["digest"].update(sha256="0" * 64)),
    "training films": (
        "training films",
        lambda s: _dependency(s, "training films")["digest"].update(sha256="0" * 64),
    ),
    "certificate": (
        "certificate",
        lambda s: _dependency(s, "certificate.json")["digest"].update(sha256="0" * 64),
    ),
    "evaluation": (
        "evaluation files",
        lambda s: s["predicate"]["runDetails"]["byproducts"][0]["digest"].update(sha256="0" * 64),
    ),
    "left out": ("evaluation files", lambda s: s["predicate"]["runDetails"]["byproducts"].pop()),
    "figure": ("gates of champion", lambda s: _gate(s).update(found=0.99)),
    "verdict": ("gates of champion", lambda s: _gate(s).update(passed=False)),
    "gate": (
        "gates of champion",
        lambda s: s["predicate"]["pneumo_decisions"]["champion"]["gates"].pop(3),
    ),
}


@pytest.mark.parametrize("what", ALTERED)
def test_what_is_altered_in_a_statement_is_named(what: str, model: Path, key: PrivateKey) -> None:
    name, change = ALTERED[what]
    alter(model, change, key)
    assert check(model, name)[0] == DIFFERS
    assert check(model, "signature")[0] == EQUAL


def test_what_stands_for_a_commit_is_no_option_of_git(
    model: Path, key: PrivateKey, tmp_path: Path
) -> None:
    written = tmp_path / "written"
    alter(
        model,
        lambda s: _dependency(s, "git")["digest"].update(gitCommit=f"--output={written}"),
        key,
    )
    for name in ("commit", "split", "gates of champion"):
        check(model, name)
    assert check(model, "commit")[0] == NOT_CHECKED
    assert not list(tmp_path.glob("written*"))


def test_who_has_no_key_alters_nothing_unseen(model: Path) -> None:
    text = (model / STATEMENT).read_text()
    (model / STATEMENT).write_text(text.replace('"screening_sensitivity"', '"another"'))
    assert check(model, "signature") == (DIFFERS, "altered after anna signed it")
    (model / "model.sig").unlink()
    assert check(model, "signature")[0] == NOT_CHECKED


def test_by_other_libraries_a_claim_holds_within_tolerance_at_best(
    model: Path, key: PrivateKey
) -> None:
    def older(statement: Statement) -> None:
        statement["predicate"]["runDetails"]["builder"]["version"]["numpy"] = "2.0.0"

    alter(model, older, key)
    claims = attest.attest(Subject.read(model, seed=0))
    found = {claim.name: claim for claim in claims}
    assert found["libraries"].verdict == NOT_CHECKED
    assert "numpy 2.0.0 there" in found["libraries"].detail
    assert {found[name].verdict for name in (*attest.COMPUTED, *GATES)} == {WITHIN}
    assert "other versions" in found["split"].detail
    assert attest.exit_code(claims) == 3


def test_altered_predictions_are_named(signed: Path, restored: Callable[[Path], Path]) -> None:
    (cell,) = paths.EVALUATED.iterdir()
    file = restored(cell / "test" / "predictions.csv")
    table = pd.read_csv(file, dtype=str)
    table["probability"] = np.where(table["label"] == "PNEUMONIA", 0.99, 0.01)
    table.to_csv(file, index=False)
    assert named(signed) == {"evaluation files", "scores", "calibration", "figures", *GATES}


def test_predictions_without_a_number_are_named(
    signed: Path, restored: Callable[[Path], Path]
) -> None:
    (cell,) = paths.EVALUATED.iterdir()
    file = restored(cell / "test" / "predictions.csv")
    pd.read_csv(file, dtype=str).assign(probability="").to_csv(file, index=False)
    for name in ("scores", "calibration", "figures"):
        assert check(signed, name)[0] == DIFFERS


def test_a_film_moved_to_another_split_is_named(
    signed: Path, restored: Callable[[Path], Path]
) -> None:
    file = restored(paths.SPLIT)
    table = manifest.read(file)
    moved = manifest.kept(table, "test").index[0]
    table.loc[moved, "split"] = "train"
    manifest.write(table, file)
    assert {"films", "split", "certificate", *GATES} <= named(signed)
    assert check(signed, "split")[1].startswith("1 film of ")


def test_an_altered_shard_is_named(signed: Path, restored: Callable[[Path], Path]) -> None:
    name = PackedImages.open(paths.TRAIN_IMAGES).shards[0][0]
    file = restored(paths.TRAIN_IMAGES / name)
    data = bytearray(file.read_bytes())
    data[-1] ^= 0xFF
    file.write_bytes(data)
    assert named(signed) == {"training films"}


def test_films_that_changed_are_counted_and_not_named(
    signed: Path, restored: Callable[[Path], Path]
) -> None:
    for path in manifest.kept(manifest.read(paths.SPLIT))["path"]:
        file = restored(paths.RAW / path)
        file.write_bytes(file.read_bytes() + b"\0")
    assert check(signed, "films") == (DIFFERS, "32 files of 32 drawn are not as ingested")


def test_what_is_not_here_is_not_checked_and_no_film_is_named(signed: Path, place: Path) -> None:
    (place / "results").rename(place / "elsewhere")
    try:
        found = attest.attest(Subject.read(signed, seed=0))
    finally:
        (place / "elsewhere").rename(place / "results")
    unchecked = {claim.name for claim in found if claim.verdict == NOT_CHECKED}
    assert unchecked >= {"films", "evaluation files", *attest.COMPUTED, *GATES}
    assert not [claim for claim in found if claim.verdict == DIFFERS]
    assert attest.exit_code(found) == 3


def test_other_code_than_that_of_the_commit_is_not_its_check(
    signed: Path, restored: Callable[[Path], Path]
) -> None:
    file = restored(Path("tasks/split.py"))
    file.write_text(file.read_text() + "\n")
    verdict, why = check(signed, "commit")
    assert verdict == NOT_CHECKED
    assert "tasks/split.py" in why


def test_a_ledger_that_has_grown_since_is_read_as_it_was(
    signed: Path, restored: Callable[[Path], Path]
) -> None:
    file = restored(paths.TEST_LEDGER)
    *_, last = file.read_text().splitlines()
    look = json.loads(last) | {"bundle": "f" * 64}
    with file.open("a") as lines:
        lines.write(json.dumps(look) + "\n")
    assert check(signed, "gates of champion")[0] == EQUAL
    file.write_text("")
    assert check(signed, "gates of champion")[0] == NOT_CHECKED


def test_as_people_type_it(
    trained: Path, typed: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    """The statement that the run itself wrote, which nobody signed; and what is no statement."""
    file = trained / "claims.json"
    result = typed("pneumo", "attest", "--seed", "7", "--json", file, cwd=trained)
    found = json.loads(file.read_text())
    assert (result.returncode, found["exit_code"], found["seed"]) == (3, 3, 7)
    other = {claim["name"]: claim for claim in found["claims"] if claim["verdict"] != EQUAL}
    assert other.keys() == {"signature"}, other
    assert "not signed" in result.stdout
    nothing = typed("pneumo", "attest", trained / "ledger", cwd=trained)
    assert nothing.returncode == 1
    assert "holds no statement.json" in nothing.stderr
    file.unlink()
