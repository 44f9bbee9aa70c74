"""Make the training set: balanced by class, augmented, packed."""

from pneumo_core.atomic import replacing_file
from pneumo_core.data import manifest
from pneumo_core.data.packed import PackedImages
from pneumo_core.params import AugmentParams
from pneumo_core.preparation.augmentation import pack_augmented, plan
from tasks import paths


def run(params: AugmentParams) -> None:
    table = manifest.read(paths.SPLIT)
    manifest.check_judges(table)
    films = plan(table, params)
    pack_augmented(PackedImages.open(paths.IMAGES), films, params, paths.TRAIN_IMAGES)
    with replacing_file(paths.TRAIN_FILMS) as draft:
        films.to_parquet(draft, index=False)
    print(f"augment: {manifest.count(films, 'label')} by recipe {params.recipe!r}")
