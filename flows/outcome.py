"""How a run ended, in a few lines for the terminal."""

import json

from tasks import places


def describe(promote: bool) -> str:
    """The best cell with its figures, what the registry decided if it was asked, and the report."""
    cell = json.loads(places.METRICS.read_text("utf-8"))["cell"]
    lines = [f"Best by validation: {cell}"]
    if promote:
        decision = json.loads(places.DECISION.read_text("utf-8"))
        lines[0] += f", {decision['outcome']} ({'; '.join(decision['reasons'])})"
    for split, name in (("val", "validation"), ("test", "test")):
        metrics = json.loads((places.EVALUATED / cell / split / "metrics.json").read_text("utf-8"))
        shown = ", ".join(
            f"{figure} {metrics[figure]['value']:.3f} "
            f"[{metrics[figure]['ci_low']:.3f}, {metrics[figure]['ci_high']:.3f}]"
            for figure in ("auroc", "accuracy", "sensitivity", "specificity")
        )
        lines.append(f"  {name:10} n = {metrics['n']}: {shown}")
    lines.append(f"Report: {(places.REPORT / 'index.html').resolve()}")
    return "\n".join(lines)
