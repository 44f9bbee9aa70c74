"""The training set: balanced, augmented, packed."""

import os

import numpy as np

from pneumo_core import manifest
from pneumo_core.atomic import replacing_file
from pneumo_core.augmentation import augment, plan
from pneumo_core.params import AugmentParams
from tasks import places


def run(params: AugmentParams) -> None:
    copies = plan(manifest.read(places.SPLIT), params)
    images = np.load(places.IMAGES, mmap_mode="r")
    shape = (len(copies), *images.shape[1:])
    with replacing_file(places.TRAIN_IMAGES) as draft:
        out = np.lib.format.open_memmap(draft, "w+", np.uint8, shape)
        with draft.open("r+b") as file:  # a full disk is an error here, not a crash while writing
            os.posix_fallocate(file.fileno(), 0, draft.stat().st_size)
        augment(images, copies, params, out)
        out.flush()
    with replacing_file(places.TRAIN_COPIES) as draft:
        copies.to_parquet(draft, index=False)
    print(f"augment: {manifest.count(copies, 'label')} by recipe {params.recipe!r}")
