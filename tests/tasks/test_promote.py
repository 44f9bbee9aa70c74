"""From the files of a run to the decision: what is missing, broken or swapped gets no role."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from safetensors.torch import load_file, save_file

from pneumo_core import params
from pneumo_core.errors import BundleError, EvaluationError, PromotionError
from pneumo_core.params import PromoteParams
from pneumo_core.promotion import policy as policies
from pneumo_core.promotion.promotion import comparison_gates
from pneumo_core.sources.patients import canonical_id
from tasks import dedup, evaluate, ingest, ledger, paths, promote, split, validate
from tasks.registry import evidence, model_versions
from tasks.tracking import connection, descriptions, runs

FULL, PARTIAL = (paths.EVALUATED / f"test_efficientnet-{name}" for name in ("full", "partial"))
CHOSEN, OTHER = FULL, PARTIAL  # by validation


@pytest.fixture
def settings(project: Path) -> PromoteParams:
    return params.load(project / "params.yaml").promote


def reasons(settings: PromoteParams) -> tuple[str, ...]:
    proposal = promote.propose(settings, "champion")
    assert proposal.decision.outcome == "refused"
    assert proposal.cell == CHOSEN.name
    return proposal.decision.reasons


def test_evidence_that_is_whole_leaves_only_the_figures_to_blame(settings: PromoteParams) -> None:
    """The models are untrained, and there is no audit."""
    blamed = ("auroc", "sensitivity", "specificity", "ece", "brier", "audit", "number of films")

    assert [why for why in reasons(settings) if not why.startswith(blamed)] == []


def drop_films() -> None:
    path = CHOSEN / "test" / "predictions.csv"
    pd.read_csv(path).iloc[2:].to_csv(path, index=False)


def turn_labels() -> None:
    path = CHOSEN / "test" / "predictions.csv"
    films = pd.read_csv(path)
    films["label"] = films["label"].map({"NORMAL": "PNEUMONIA", "PNEUMONIA": "NORMAL"})
    films.to_csv(path, index=False)


def one_class_of_films() -> None:
    path = CHOSEN / "test" / "predictions.csv"
    films = pd.read_csv(path)
    films[films["label"] == "PNEUMONIA"].to_csv(path, index=False)


def other_models_evaluation() -> None:
    shutil.copytree(OTHER / "test", CHOSEN / "test", dirs_exist_ok=True)


def other_certificate() -> None:
    certificate = json.loads(paths.CERTIFICATE.read_text())
    paths.CERTIFICATE.write_text(json.dumps(certificate | {"data_sha256": "0" * 64}))


DAMAGES: dict[str, list[Callable[[], object]]] = {
    "evaluation on test: missing": [
        (CHOSEN / "test" / "metrics.json").unlink,
        (CHOSEN / "test" / "predictions.csv").unlink,
        lambda: (CHOSEN / "test" / "metrics.json").write_text('{"split": "te'),
        lambda: (CHOSEN / "test" / "predictions.csv").write_text(""),
        lambda: (CHOSEN / "test" / "predictions.csv").write_text("a,b\n1,2\n"),
        lambda: shutil.rmtree(CHOSEN / "test"),
        one_class_of_films,
    ],
    "films of the figures: 24, asked for: 22": [drop_films],
    "films scored: ": [drop_films, turn_labels],
    "probabilities computed again, off by: ": [other_models_evaluation],
    "leakage certificate: missing": [
        paths.CERTIFICATE.unlink,
        lambda: paths.CERTIFICATE.write_text("[]"),
        lambda: paths.CERTIFICATE.write_text('{"valid": true'),
    ],
    "data certified: 000000000000": [other_certificate],
    "audit of the augmentation: missing": [lambda: None],
}


def test_what_is_missing_broken_or_swapped_is_told(settings: PromoteParams, tmp_path: Path) -> None:
    shutil.copytree("results", tmp_path / "kept")
    for message, damages in DAMAGES.items():
        for damage in damages:
            damage()
            assert [why for why in reasons(settings) if why.startswith(message)], message
            shutil.rmtree("results")
            shutil.copytree(tmp_path / "kept", "results")


@pytest.mark.usefixtures("project")
def test_looks_at_test_are_those_of_the_ledger() -> None:
    """One look each model, however often it is scored; none that the ledger cannot vouch for."""

    def looks() -> int | None:
        return evidence.of_challenger(CHOSEN.name, "reading_aid", {}).test_looks

    certified = json.loads(paths.CERTIFICATE.read_text())["test_split_hash"]
    assert looks() == 2
    evaluate.run(params.load().evaluate)
    assert looks() == 2
    for line in ({"test_split_hash": certified}, {"test_split_hash": "0" * 64}, {}):
        ledger.append(paths.TEST_LEDGER, bundle=f"another {line}", **line)
    assert looks() == 4
    lines = paths.TEST_LEDGER.read_text().splitlines(keepends=True)
    paths.TEST_LEDGER.write_text("".join(lines[:1] + lines[2:]))
    assert looks() is None
    paths.TEST_LEDGER.unlink()
    assert looks() is None


def test_bundle_that_was_tampered_with_is_no_challenger(settings: PromoteParams) -> None:
    weights = CHOSEN / "bundle" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\xff")
    with pytest.raises(BundleError, match=r"weights\.safetensors was altered"):
        promote.propose(settings, "champion")


def test_model_that_hears_nothing_of_the_film_ends_the_evaluation_and_gets_no_role(
    settings: PromoteParams, project: Path
) -> None:
    """A cell that calls every film the same: from its weights on, by the stages themselves."""
    for cell in paths.TRAINED.iterdir():
        tensors = load_file(cell / paths.WEIGHTS)
        tensors["classifier.weight"] *= 0
        save_file(tensors, cell / paths.WEIGHTS)
    shutil.rmtree(paths.EVALUATED)  # as DVC does before the stage runs
    with pytest.raises(EvaluationError, match="says the same of every film"):
        evaluate.run(params.load(project / "params.yaml").evaluate)
    with pytest.raises(PromotionError, match="no model of the last run was evaluated"):
        promote.run(settings)
    assert model_versions.aliases("pneumo") == {}
    assert not paths.PROMOTION_LEDGER.exists()


def test_role_without_a_fit_cell_goes_to_nobody_and_that_is_written_down(
    settings: PromoteParams,
) -> None:
    proposal = promote.propose(settings, "screening")
    assert proposal.cell is None
    assert "cell with the operating point screening: missing" in proposal.decision.reasons[0]
    promote.carry_out(settings, proposal, [proposal])
    (line,) = ledger.read(paths.PROMOTION_LEDGER)
    assert (line["role"], line["outcome"], line["version"]) == ("screening", "refused", "")


def test_refused_model_is_registered_with_its_evidence_and_without_an_alias(
    settings: PromoteParams,
) -> None:
    promote.run(settings)
    version = model_versions.versions("pneumo")["1"]
    assert version.tags["champion"] == "refused"
    assert version.tags["cell"] == CHOSEN.name
    assert version.tags["champion_line"] in ledger.line_hashes(paths.PROMOTION_LEDGER)
    assert model_versions.aliases("pneumo") == {}
    first = ledger.read(paths.PROMOTION_LEDGER)[0]
    assert first["who"]
    assert first["run_id"] == version.run_id
    assert first["reasons"] == json.loads(paths.DECISION.read_text())["champion"]["reasons"]


def test_mlflow_says_in_words_what_was_decided_and_shows_the_figures_with_their_films(
    settings: PromoteParams, project: Path
) -> None:
    promote.run(settings)
    version = model_versions.versions("pneumo")["1"]
    gates = json.loads(paths.DECISION.read_text())["champion"]["gates"]
    assert f"Cell **{CHOSEN.name}**" in version.description
    assert "**champion: refused**" in version.description
    for gate in gates:
        assert f"| {'✓' if gate['passed'] else '✗'} | {gate['name']} | " in version.description
    client = connection.connect()
    assert "pneumo registry history" in client.get_registered_model("pneumo").description
    (model,) = client.search_logged_models([connection.experiment_id(client)])
    measured = {metric.key: metric.value for metric in model.metrics}
    found = json.loads((CHOSEN / "test" / "metrics.json").read_text())["auroc"]["value"]
    assert measured["evaluation/test/auroc"] == pytest.approx(found)
    sweep = runs.of_sweep(client, params.load(project / "params.yaml").train)
    report = f"(#/experiments/1/runs/{sweep}/artifacts/report/index.html)"
    assert f"[Report]{report}" in version.description
    assert f"[report]{report}" in client.get_experiment("1").tags[descriptions.NOTE]
    note = client.get_run(sweep).data.tags[descriptions.NOTE]
    assert "**champion: refused**" in note
    assert f"| 1 | {pd.read_csv(paths.LEADERBOARD)['cell'][0]} | " in note
    artifacts = [each.path for each in client.list_artifacts(sweep, "promotion")]
    assert artifacts == ["promotion/decision.json"]


def test_mlflow_says_who_promoted_a_version_and_when(
    settings: PromoteParams, promote_cell: Callable[..., str]
) -> None:
    version = promote_cell(CHOSEN.name)
    (line,) = ledger.read(paths.PROMOTION_LEDGER)
    promote.run(settings)  # decides again, and does not promote
    when = line["time"][:16].replace("T", " ")
    shown = model_versions.versions("pneumo")[version].description
    assert f"Became **champion** on {when} UTC: promoted by `{line['who']}`." in shown
    assert "Became **screening**" not in shown


def test_decision_file_hangs_on_the_evidence_alone(settings: PromoteParams) -> None:
    promote.run(settings)
    before = paths.DECISION.read_bytes()
    promote.run(settings)
    assert paths.DECISION.read_bytes() == before
    assert list(model_versions.versions("pneumo")) == ["1"]
    assert len(ledger.read(paths.PROMOTION_LEDGER)) == 4


IDS = ("0001234", "2.10", "007", "7", "0x1F", "1e5")


@pytest.fixture
def from_table(project: Path) -> PromoteParams:
    """The same films from a table whose patients have names that look like numbers."""
    files = sorted(path.relative_to(paths.RAW) for path in paths.RAW.glob("*/*/*"))
    rows = [
        {
            "path": path,
            "split": path.parts[0],
            "label": path.parts[1],
            "patient": IDS[n % 6] if path.parts[0] == "test" else f"p{n}",
        }
        for n, path in enumerate(files)
    ]
    shutil.copytree(paths.RAW, "films")
    pd.DataFrame(rows).to_csv("films/list.csv", index=False)
    Path("table.yaml").write_text("kind: table\npath: films/list.csv\n")
    settings = params.load(project / "params.yaml")
    ingest.run(settings.ingest.model_copy(update={"source": "table.yaml"}))
    for stage in (validate, dedup, split):
        stage.run(settings.section(stage.__name__.rpartition(".")[2]))
    shutil.rmtree(paths.EVALUATED)
    evaluate.run(settings.evaluate)
    return settings.promote


def test_second_promotion_compares_patients_whose_names_look_like_numbers(
    from_table: PromoteParams, promote_cell: Callable[..., str]
) -> None:
    """Not on "different films": the new model's are read from a CSV, the champion's scored now."""
    policy = policies.of_role(from_table, "champion")
    for cell, in_use in ((OTHER, "1"), (CHOSEN, "2")):
        assert promote_cell(cell.name) == in_use
        champion = promote.scored(
            model_versions.find_champion("pneumo", "champion"), "champion", policy
        )
        challenger = evidence.of_challenger(CHOSEN.name, policy.operating_point, {})
        num_patients = len(set(challenger.reading.scores.patient_keys))
        assert num_patients == len({canonical_id(each) for each in IDS})
        gates = comparison_gates(challenger.reading, champion, policy)
        assert all(isinstance(gate.found, float) for gate in gates), gates


def test_missing_policy_stops_before_anything_is_registered(settings: PromoteParams) -> None:
    with pytest.raises(PromotionError, match=r"No policy at .*nobody\.yaml"):
        promote.run(settings.model_copy(update={"roles": ("nobody",)}))
    assert model_versions.versions("pneumo") == {}
    assert not paths.PROMOTION_LEDGER.exists()
