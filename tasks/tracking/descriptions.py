"""What MLflow's pages say in words, in Markdown: about the model, a version, a grid, a cell."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import pandas as pd

from pneumo_core.atomic import JsonDict, read_json
from tasks import paths
from tasks.graph import provenance

MAX_LENGTH = 40  # of a text in a table; enough of a hash to compare it
ROLLED_BACK = "rolled back"  # as in alias_history, of which the stages that write here know nothing
NOTE = "mlflow.note.content"  # the tag that a run's page shows as its description
SHOWN = {
    "auroc": "AUROC",
    "accuracy": "accuracy",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
}

OF_MODEL = """\
Probability of pneumonia on a chest film. Research use only.

Which version is in use: its aliases. Why, and why another was refused: the description of each
version. Every decision with its gates stands in `ledger/promotions.jsonl`, and
`pneumo registry history` prints it. Do not move an alias here: a version that the ledger does not
name for a role is not used."""


def of_experiment(model: str, report: str) -> str:
    """Return what stands above all runs: links to the model and to the newest report."""
    return (
        f"Which version is in use, on which films, and why: [{model}](#/models/{model}). "
        f"The newest grid: [report]({report})."
    )


def of_version(
    cell: str,
    decisions: Mapping[str, JsonDict],
    promotions: Iterable[JsonDict],
    report: str,
) -> str:
    """Return the figures of a version, and by role the decision on it with its gates.

    Args:
        decisions: by role, as `Decision.as_dict` has them.
        promotions: lines of the ledger that gave this version an alias.
    """
    of_roles = [_decision(role, decision) for role, decision in decisions.items()]
    head = f"Cell **{cell}** of {_data()}. [Report]({report})."
    return "\n\n".join([head, *map(of_promotion, promotions), _figures(cell), *of_roles])


def of_cell(cell: str) -> str:
    leaderboard = pd.read_csv(paths.LEADERBOARD)["cell"].tolist()
    place = f"Place {leaderboard.index(cell) + 1} of {len(leaderboard)} by both validations"
    return f"{place}, of {_data()}.\n\n{_figures(cell)}"


def of_sweep(report: str) -> str:
    """Return the cells of a grid by their place; `report` is the address of its report."""
    leaderboard = pd.read_csv(paths.LEADERBOARD)
    rows = [
        f"| {place} | {row['cell']} | {row['choice_auroc']:.4f} | {row['test_auroc']:.4f} |"
        for place, row in enumerate(leaderboard.to_dict("records"), 1)
    ]
    return "\n".join(
        [
            f"All cells of a grid on {_data()}. [Report]({report}); beside it among the artifacts: "
            "the leakage certificate, `report/certificate.html`.",
            "",
            "| place | cell: a run below this | AUROC, mean of validations | AUROC on test |",
            "| --: | --- | --: | --: |",
            *rows,
        ]
    )


def of_decisions(decided: Mapping[str, JsonDict], report: str) -> str:
    """Return the cells of a grid, and before them which of them got which role, and why."""
    lines = [
        f"- **{role}: {decision['outcome']}**: {decision['cell'] or 'no cell'}. "
        f"{'; '.join(decision['reasons'])}"
        for role, decision in decided.items()
    ]
    return "\n".join([*lines, "", "Each gate: `promotion/decision.json`.", "", of_sweep(report)])


def of_promotion(line: Mapping[str, Any]) -> str:
    """Return who gave a version a role, and when, by a line of the ledger."""
    when = f"{datetime.fromisoformat(line['time']):%Y-%m-%d %H:%M} UTC"
    who = line.get("who", "somebody")
    if line["outcome"] == ROLLED_BACK:
        why = "; ".join(line["reasons"])
        return f"Became **{line['role']}** again on {when}, by a rollback of `{who}`: {why}."
    return f"Became **{line['role']}** on {when}: {line['outcome']} by `{who}`."


def _decision(role: str, decision: JsonDict) -> str:
    rows = [
        f"| {'✓' if gate['passed'] else '✗'} | {gate['name']} | {_found(gate['found'])} "
        f"| {gate['asked']} |"
        for gate in sorted(decision["gates"], key=lambda gate: bool(gate["passed"]))
    ]
    return "\n".join(
        [
            f"**{role}: {decision['outcome']}**: {'; '.join(decision['reasons'])}.",
            "",
            "| | gate | found | asked for |",
            "| --- | --- | --- | --- |",
            *rows,
        ]
    )


def _found(value: Any) -> str:
    if value is None:
        return "missing"
    return f"{value:.4g}" if isinstance(value, float) else str(value)[:MAX_LENGTH]


def _figures(cell: str) -> str:
    rows = []
    for split in (*paths.VALIDATIONS, "test"):
        metrics = read_json(paths.EVALUATED / cell / split / "metrics.json")
        cells = [
            f"{metrics[name]['value']:.3f} "
            f"[{metrics[name]['ci_low']:.3f}, {metrics[name]['ci_high']:.3f}]"
            for name in SHOWN
        ]
        rows.append(f"| {split} | {metrics['n']} | {' | '.join(cells)} |")
    heads = " | ".join(SHOWN.values())
    return "\n".join([f"| films | n | {heads} |", "| --- | --: |" + " --: |" * len(SHOWN), *rows])


def _data() -> str:
    """Return the films and their version, and the commit, as far as they are known."""
    named = provenance.source().get("dataset", "films")
    version = provenance.data_versions().get("data_version")
    commit = provenance.tags().get("git_commit")
    return (
        f"`{named}`"
        + (f", data version `{version}`" if version else "")
        + (f", commit `{commit[:12]}`" if commit else "")
    )
