"""What a run changed against another commit, as Markdown; not a stage."""

import json
import subprocess
import sys
from dataclasses import dataclass
from io import StringIO
from typing import Any

import numpy as np
import pandas as pd

from pneumo_core import params as all_params
from pneumo_core.arrays import Floats
from pneumo_core.atomic import read_json
from pneumo_core.errors import PipelineError
from pneumo_core.metrics.metrics import Estimate
from pneumo_core.report.interval_plot import draw_intervals
from tasks import paths
from tasks.graph import dvc_graph
from tasks.graph.dvc_stage import environment

SHOWN = ("auroc", "sensitivity", "specificity")
HERE = "here"
CURVES = ("roc", "reliability")  # of DVC's plots


@dataclass(frozen=True)
class Winner:
    cell: str
    val: dict[str, Any]  # of `metrics.json`
    test: dict[str, Any]


def describe(revision: str) -> str:
    """Return the page.

    Raises:
        PipelineError: there is no such commit, or no result here.
    """
    parameters = _dvc_diff("params", revision)
    here, there = _winner_here(), _winner_at(revision)
    parts = [f"## Results against {revision}", f"Best by validation: **{here.cell}**"]
    if there is None:
        parts.append(f"No results of {revision} are in the DVC store: nothing to compare with.")
    else:
        parts[-1] += f", in {revision} {there.cell}"
    parts += [_plot(here, there, revision), *_curves(here.cell), "### Promotion", _promotion()]
    for title, table in (
        ("Parameters that differ", parameters),
        ("Metrics that differ", _dvc_diff("metrics", revision)),
    ):
        parts.append(f"### {title}\n\n{table or 'None.'}")
    return "\n\n".join(parts)


def _plot(here: Winner, there: Winner | None, revision: str) -> str:
    sides = {HERE: here} if there is None else {revision: there, HERE: here}
    longest = max(map(len, sides))
    figures = {
        f"{split:4} {name:11} {side:{longest}}": Estimate(**getattr(winner, split)[name])
        for split in ("val", "test")
        for name in SHOWN
        for side, winner in sides.items()
    }
    return f"```text\n{draw_intervals(figures)}\n```"


def _curves(cell: str) -> list[str]:
    """Return ROC and reliability of a cell on test, as charts that GitHub draws in a summary."""
    roc, reliability = (pd.read_csv(paths.PLOTS / f"{name}.csv") for name in CURVES)
    roc = roc[roc["cell"] == cell]
    at = np.linspace(0, 1, 21)
    sensitivity = np.interp(at, roc["false_positive_rate"], roc["sensitivity"])
    bins = reliability[["mean_probability", "share_with_pneumonia"]].to_numpy().T
    return [
        _chart("ROC on test", "false positive rate", "0 --> 1", "sensitivity", sensitivity),
        _chart(
            "Reliability on test",
            "mean probability of the bin",
            f"[{_listed(bins[0])}]",
            "share with pneumonia",
            bins[1],
        ),
    ]


def _chart(title: str, x: str, range_: str, y: str, values: Floats) -> str:
    """Return a line in the language of Mermaid; its points lie at equal distances."""
    return (
        f'```mermaid\nxychart-beta\n    title "{title}"\n    x-axis "{x}" {range_}\n'
        f'    y-axis "{y}" 0 --> 1\n    line [{_listed(values)}]\n```'
    )


def _listed(values: Floats) -> str:
    return ", ".join(f"{value:.3g}" for value in values)


def _promotion() -> str:
    """Return the decisions, or those that the promote stage would take now."""
    if dvc_graph.PROMOTE in dvc_graph.stale_stages():
        from tasks.promote import propose

        params = all_params.load().promote
        proposals = [propose(params, role) for role in params.roles]
        decided = {p.role: {"cell": p.cell} | p.decision.as_dict() for p in proposals}
        head = "The promote stage has not run yet. It would decide:"
    else:
        decided = read_json(paths.DECISION)
        head = "Decided:"
    lines = [
        f"- {role}: {d['cell'] or 'no cell'}, **{d['outcome']}** ({'; '.join(d['reasons'])})"
        for role, d in decided.items()
    ]
    return "\n".join([head, "", *lines])


def _winner_here() -> Winner:
    try:
        return _winner(lambda path: path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise PipelineError(f"No {error.filename} here: run the pipeline first.") from error


def _winner_at(revision: str) -> Winner | None:
    """Return the winner in `dvc.lock` of that commit; None if its results are not in the store."""
    import dvc.api
    from dvc.exceptions import DvcException

    try:
        return _winner(lambda path: dvc.api.read(str(path), rev=revision))
    except (DvcException, FileNotFoundError):
        return None


def _winner(read: Any) -> Winner:
    cell = str(pd.read_csv(StringIO(read(paths.LEADERBOARD)))["cell"].iloc[0])
    val, test = (
        json.loads(read(paths.EVALUATED / cell / split / "metrics.json"))
        for split in ("val", "test")
    )
    return Winner(cell, val, test)


def _dvc_diff(what: str, revision: str) -> str:
    """Return a Markdown table of the differences; empty without any."""
    command = [sys.executable, "-m", "dvc", what, "diff", revision, "--md"]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise PipelineError(f"DVC cannot compare with {revision}: {done.stderr.strip()}")
    table = done.stdout.strip()
    return table if table.count("\n") > 1 else ""  # more than its head
