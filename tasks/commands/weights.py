"""Pretrained weights for machines without a network; not a stage."""

from pathlib import Path

from pneumo_core.errors import WeightsError
from pneumo_core.models import fetch_weights, offline_weights


def fetch(models: list[str], folder: Path) -> None:
    for model in models:
        entry = fetch_weights.fetch(model, folder)
        licence = entry.licence or "not stated by timm"
        print(f"{folder / entry.file}: {entry.origin} (licence: {licence})")


def verify(folder: Path) -> None:
    """Compare a folder of weights with its weights.json.

    Raises:
        WeightsError: a file is missing, altered or extra.
    """
    if faults := offline_weights.find_faults(folder):
        raise WeightsError(f"{folder} is not as it was fetched: {'; '.join(faults)}.")
    print(f"{folder} is as it was fetched: {', '.join(offline_weights.read_index(folder).models)}")
