"""Check the data, the augmentation and the models for cues that tell the label."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from pneumo_core import params as all_params
from pneumo_core.atomic import read_json, write_json
from pneumo_core.audit.audit import audit_augmentation, audit_cell, audit_winner, lint
from pneumo_core.audit.data_probes import probe_data
from pneumo_core.audit.shortcut_probes import metadata_baseline
from pneumo_core.audit.shortcuts import Check
from pneumo_core.data import manifest
from pneumo_core.data.packed import PackedImages
from pneumo_core.evaluation.scoring import Scorer
from pneumo_core.params import AuditParams
from tasks import paths


def run(params: AuditParams) -> None:
    augment = all_params.load().augment
    table, images = manifest.read(paths.SPLIT), PackedImages.open(paths.IMAGES)
    planned = pd.read_parquet(paths.TRAIN_FILMS)
    augmented = PackedImages.open(paths.TRAIN_IMAGES)
    checks = {
        "data": [*metadata_baseline(table, params), *probe_data(table, images, params)],
        "augmentation": audit_augmentation(table, images, planned, augmented, augment, params),
    }
    val = manifest.kept(table, "val")
    for folder in sorted(paths.EVALUATED.iterdir()):
        checks[folder.name] = audit_cell(*_cell(folder), val, images, params)
    winner = pd.read_csv(paths.LEADERBOARD)["cell"].iloc[0]
    of_winner = audit_winner(*_cell(paths.EVALUATED / winner), val, images, params)
    write_json(paths.WINNER_AUDIT, {"cell": winner} | of_winner)
    found: dict[str, Any] = {"lint": asdict(lint(planned, augment))}
    found |= {subject: [check.as_dict() for check in each] for subject, each in checks.items()}
    write_json(paths.AUDIT, found)
    for subject, each in checks.items():
        print(f"audit: {subject}: {_counted(each)}")
        for check in each:
            if check.passed is False:
                print(f"  {check.explain()}")
    print(f"audit: {_counted([check for each in checks.values() for check in each])}")


def _counted(checks: Sequence[Check]) -> str:
    within, beyond = (sum(check.passed is passed for check in checks) for passed in (True, False))
    unsure = len(checks) - within - beyond
    return (
        f"{within} of {len(checks)} checks within their limits, {beyond} beyond, "
        f"{unsure} open (too few films, or not computed)"
    )


def _cell(folder: Path) -> tuple[Scorer, float]:
    threshold = read_json(folder / "val" / "metrics.json")["threshold"]
    return Scorer.load(folder / paths.BUNDLE), threshold
