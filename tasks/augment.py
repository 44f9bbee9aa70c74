"""The training set: balanced, augmented, packed."""

from pneumo_core import manifest
from pneumo_core.atomic import replacing_file
from pneumo_core.augmentation import pack_augmented, plan
from pneumo_core.packed import PackedImages
from pneumo_core.params import AugmentParams
from tasks import places


def run(params: AugmentParams) -> None:
    copies = plan(manifest.read(places.SPLIT), params)
    pack_augmented(PackedImages.open(places.IMAGES), copies, params, places.TRAIN_IMAGES)
    with replacing_file(places.TRAIN_COPIES) as draft:
        copies.to_parquet(draft, index=False)
    print(f"augment: {manifest.count(copies, 'label')} by recipe {params.recipe!r}")
