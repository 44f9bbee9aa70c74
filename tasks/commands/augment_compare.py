"""The augmentation recipes compared on the pipeline's own films; not a stage."""

from pathlib import Path

from pneumo_core.atomic import replacing_file, write_json, write_text
from pneumo_core.data import manifest
from pneumo_core.data.packed import PackedImages
from pneumo_core.experiments.comparison import RecipeComparison, compare
from pneumo_core.experiments.comparison_page import as_json, as_table, draw_pictures, render
from pneumo_core.experiments.trials import Setting, audit_trial
from pneumo_core.experiments.verdict import decide
from pneumo_core.params import Params, Strategy
from pneumo_core.training.context import Cell
from tasks import paths
from tasks.device_lock import own_device


def run(
    params: Params,
    out: Path,
    size_per_class: int,
    num_seeds: int,
    model: str | None,
    strategy: Strategy,
) -> None:
    """Compare the recipes; write page, JSON and CSV into `out`.

    Raises:
        DataError: the split stage has not run.
    """
    table = manifest.read(paths.SPLIT)
    images = PackedImages.open(paths.IMAGES)
    setting = Setting(
        Cell(model or params.train.models[0], strategy),
        params.train,
        params.augment.size_per_class,
        size_per_class,
        tuple(range(params.train.seed, params.train.seed + num_seeds)),
    )
    with own_device():
        comparison = compare(
            images,
            table,
            setting,
            paths.SCRATCH / "augment_compare",
            audit=lambda trial: audit_trial(trial, table, images, params.audit),
        )
    write_json(out / "comparison.json", as_json(comparison, setting))
    with replacing_file(out / "comparison.csv") as draft:
        as_table(comparison).to_csv(draft, index=False)
    write_text(out / paths.PAGE, render(comparison, setting, draw_pictures(images, table, setting)))
    print(_describe(comparison))
    print(f"Written to {out / paths.PAGE}")


def _describe(comparison: RecipeComparison) -> str:
    columns = ["recipe", "validation_auroc", "validation_holm_p", "swapped_auroc"]
    shown = as_table(comparison)[columns].to_string(index=False, float_format="{:.3f}".format)
    return "\n".join([shown, "", *decide(comparison).sentences])
