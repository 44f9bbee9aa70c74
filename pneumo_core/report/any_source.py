"""A report on one model and the films of any source."""

from importlib.metadata import version
from pathlib import Path
from typing import Any

from pneumo_core.audit.audit import audit_winner
from pneumo_core.data import manifest
from pneumo_core.evaluation.any_source import score_source, write_films, write_scored
from pneumo_core.inference.reader import Reader
from pneumo_core.params import MeasurementParams
from pneumo_core.report import files
from pneumo_core.report.document import Pictures
from pneumo_core.report.findings import CellFindings, DataFindings, Findings
from pneumo_core.report.sections.cases import show_cases
from pneumo_core.sources.source import Source


def report_source(
    model: Reader,
    source: Source,
    name: str,
    split: str,
    folder: Path,
    origin: str,
    params: MeasurementParams,
) -> dict[str, Any]:
    """Write the report beside `metrics.json`, `predictions.csv` and `films.csv`.

    Args:
        name: the source's name on the page.

    Raises as `score_source` does.
    """
    scorer = model.scorer
    scored = score_source(scorer, model.reference, source, split)
    metrics = write_scored(folder, scored, scorer.description, split, params.evaluate)
    write_films(folder, scored.films)
    kept, threshold = manifest.kept(scored.films), metrics["threshold"]
    looked_at = audit_winner(scorer, threshold, kept, scored.images, params.audit)
    found = Findings(
        data=DataFindings(name, scored.films, scored.images),
        cells=(CellFindings(scorer.description, metrics, scored.predictions),),
        provenance={"source": name, "model": origin, "pneumo": version("pneumo")},
        audited_split=split,
        robustness=looked_at["robustness"],
        saliency=looked_at["saliency"],
        occlusion=looked_at["occlusion"],
    )
    files.write(folder, found, Pictures(show_cases(found, scorer, params.report)))
    return metrics
