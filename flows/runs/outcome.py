"""How a run ended, in a few lines for the terminal."""

from pneumo_core.atomic import JsonDict, read_json
from tasks import paths

HOW = "pneumo promote --dry-run"
NUM_REASONS = 3  # of a refusal; the report and HOW have all
SHOWN = ("auroc", "accuracy", "sensitivity", "specificity")


def describe(promote: bool = True) -> str:
    """Return the decisions, the cells with their figures, and the path of the report."""
    lines = []
    if promote:
        decided = read_json(paths.DECISION)
        cells = sorted({decision["cell"] for decision in decided.values()} - {None})
        for role, decision in decided.items():
            lines += _decision(role, decision)
    else:
        cells = [read_json(paths.METRICS)["cell"]]
        lines.append("Best by validation; the registry was not asked:")
    for cell in cells:
        lines += [cell, *_figures(cell), f"  --bundle {paths.EVALUATED / cell / paths.BUNDLE}"]
    lines.append(f"Report: {(paths.REPORT / 'index.html').resolve()}")
    return "\n".join(lines)


def next_steps() -> str:
    """Return what a newcomer would do next, in five commands."""
    steps = {
        "source .venv/bin/activate": "makes these commands known to the terminal",
        "pneumo predict FILM": "reads a film with the champion; for this run's model add --bundle",
        "pneumo serve": "offers the champion as a page to drop films on",
        "pneumo ui mlflow": "shows every training and every version of the model",
        "pneumo run --profile small-cpu --set ingest.source=FOLDER": "learns from your own films",
    }
    width = max(map(len, steps)) + 2
    lines = [f"  {command:{width}}{what}" for command, what in steps.items()]
    return "\n".join(["Next, beside the report (docs/tutorial.md):", *lines])


def _decision(role: str, decision: JsonDict) -> list[str]:
    head, reasons = f"{role}: {decision['cell'] or 'no cell'}", decision["reasons"]
    if decision["outcome"] != "refused":
        return [f"{head}, {decision['outcome']} ({'; '.join(reasons)})"]
    shown = [f"  - {reason}" for reason in reasons[:NUM_REASONS]]
    if num_more := len(reasons) - len(shown):
        shown.append(f"  - and {num_more} more")
    use = f"  in use: {_in_use(decision['in_use'])}; each gate: {HOW}"
    return [f"{head}, refused", *shown, use]


def _in_use(version: str | None) -> str:
    return f"version {version}" if version else "no model"


def _figures(cell: str) -> list[str]:
    lines = []
    for split, name in (("val", "validation"), ("test", "test")):
        metrics = read_json(paths.EVALUATED / cell / split / "metrics.json")
        shown = ", ".join(
            f"{figure} {metrics[figure]['value']:.3f} "
            f"[{metrics[figure]['ci_low']:.3f}, {metrics[figure]['ci_high']:.3f}]"
            for figure in SHOWN
        )
        lines.append(f"  {name:10} n = {metrics['n']}: {shown}")
    return lines
