"""Whether the models of a grid can learn from films of its size: tried once, and remembered."""

import json

from pneumo_core.atomic import write_json
from pneumo_core.params import Params
from pneumo_core.versions import installed
from tasks import paths

TRIED = paths.SCRATCH / "models_tried.json"  # the trials that went well


def require_trainable(asked: Params) -> None:
    """Return at once where all models were tried before: importing torch takes seconds.

    Raises:
        WeightsError: timm does not know a model.
        TrainingError: a model does not take films of this size.
    """
    size_px, grid = asked.validation.image_size_px, asked.train
    pretrained = {model: grid.weights_of(model) != "none" for model in grid.models}
    libraries = installed(("pneumo", "timm", "torch"))
    trials = {
        model: f"{model} {(size_px, grid.strategies, pretrained[model], libraries)}"
        for model in grid.models
    }
    known = _known()
    new = [model for model, trial in trials.items() if trial not in known]
    if not new:
        return
    from pneumo_core.models import architectures

    for model in new:
        architectures.require_trainable(model, size_px, grid.strategies, pretrained[model])
    write_json(TRIED, sorted(known | set(trials.values())))


def _known() -> set[str]:
    try:
        return set(json.loads(TRIED.read_text("utf-8")))
    except (OSError, ValueError, TypeError):  # never written, or damaged: try again
        return set()
