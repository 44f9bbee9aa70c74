"""How often `pneumo monitor` raises an alarm about films of the same kind, and about changed ones.

    python benchmarks/drift.py SOURCE BUNDLE [--looks 1000]

Rates: of the source's films a reference and later films are drawn by lot, in whole patients, again
and again. *each*: the alarms if every film were counted as independent. `min_distance` is 0 there,
so that the test alone is judged. Changes: distances of changed films, which were drawn once.
"""

import argparse
import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageOps

from pneumo_core.data import manifest
from pneumo_core.evaluation.any_source import inventory_of
from pneumo_core.evaluation.reference import Reference, one_per_patient
from pneumo_core.evaluation.scoring import Scorer
from pneumo_core.inference.drift import KINDS, compare, measure
from pneumo_core.params import IngestParams, MonitorParams
from pneumo_core.sources.source import SourceFile
from tasks.stores.sources import open_source

NUM_REFERENCE = 400
SIZES = (20, 50, 100, 200, 500, 1000, 2000)
MAX_CHANGED = 400


def save(image: Image.Image, kind: str = "PNG", **options: int) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def jpeg(quality: int) -> Callable[[Image.Image], bytes]:
    return lambda film: save(film, "JPEG", quality=quality)


def resized(scale: float) -> Callable[[Image.Image], bytes]:
    return lambda film: save(film.resize([round(scale * side) for side in film.size]))


def levels(factor: float, shift: float = 0.0) -> Callable[[Image.Image], bytes]:
    """Contrast around the middle, then brightness as a share of the range."""

    def change(film: Image.Image) -> bytes:
        changed = 128 + factor * (np.asarray(film, np.float64) - 128) + 255 * shift
        return save(Image.fromarray(changed.clip(0, 255).astype(np.uint8)))

    return change


CHANGES: dict[str, Callable[[Image.Image], bytes]] = {
    "as PNG": save,
    **{f"JPEG {quality}": jpeg(quality) for quality in (90, 75, 60, 50, 30)},
    **{f"resized {scale:g}": resized(scale) for scale in (2, 1.5, 0.75, 0.6)},
    **{f"contrast {factor:g}": levels(factor) for factor in (1.1, 1.2, 0.9, 0.8)},
    **{f"brightness {shift:+g}": levels(1, shift) for shift in (0.05, 0.1, -0.1)},
    "inverted": lambda film: save(ImageOps.invert(film)),
    "cut by a tenth a side": lambda film: save(ImageOps.crop(film, film.width // 10)),
    "cut at top and bottom": lambda film: save(ImageOps.crop(film, (0, film.height // 8))),
}


def look(files: list[SourceFile], scorer: Scorer, reference: Reference) -> pd.DataFrame:
    """The figures of the films that can be read, each picture once, with their patients."""
    with inventory_of(files, scorer.description.image_size_px) as (table, images):
        films = manifest.kept(table).drop_duplicates("pixel_sha256")
        pixels = images[films["packed_row"].to_numpy(np.int64)]
    figures = measure(scorer, reference, films, pixels)
    columns = ["path", "patient_group", "pixel_sha256"]
    return pd.concat([films[columns].reset_index(drop=True), figures], axis=1)


def rates(films: pd.DataFrame, num_looks: int) -> None:
    params = MonitorParams(max_false_alarm_rate=0.05, min_distance=0)
    figures = [name for name in KINDS if name in films]
    of_patient = [group.index.to_numpy() for _, group in films.groupby("patient_group")]
    rng = np.random.default_rng(0)
    print(f"{len(films)} films of {len(of_patient)} patients, stated rate 0.05, {num_looks} looks")
    for size in SIZES:
        alarms = {"one a patient": 0, "each": 0}
        for _ in range(num_looks):
            order = rng.permutation(len(of_patient))
            reference = films.loc[np.concatenate([of_patient[n] for n in order[:NUM_REFERENCE]])]
            later = films.loc[np.concatenate([of_patient[n] for n in order[NUM_REFERENCE:]])[:size]]
            for way in alarms:
                choose = one_per_patient if way == "one a patient" else pd.DataFrame.copy
                found = compare(choose(reference)[figures], choose(later)[figures], params)
                alarms[way] += any(each.drifted for each in found)
        shares = ", ".join(f"{way} {count / num_looks:.3f}" for way, count in alarms.items())
        print(f"  {len(later):5} films: {shares}", flush=True)


def changes(files: list[SourceFile], scorer: Scorer, reference: Reference) -> None:
    """Half of the patients are the reference, of the others come the films that are changed."""
    films = look(files, scorer, reference)
    rng = np.random.default_rng(1)
    patients = rng.permutation(films["patient_group"].unique())
    reference = one_per_patient(films[films["patient_group"].isin(patients[: len(patients) // 2])])
    others = one_per_patient(films.drop(reference.index))
    others = others[~others["patient_group"].isin(reference["patient_group"])].head(MAX_CHANGED)
    chosen = [file for file in files if file.place in set(others["path"])]
    figures = [name for name in KINDS if name in films]
    print(f"\nDistances, {len(reference)} films against {len(chosen)} (! drifted)")
    for name, change in CHANGES.items():
        changed = [replace(file, read=lambda f=file, c=change: c(opened(f))) for file in chosen]
        later = look(changed, scorer, reference)
        found = compare(reference[figures], later[figures], MonitorParams())
        shown = " ".join(f"{e.figure} {e.distance:.2f}{'!' * e.drifted}" for e in found)
        print(f"  {name:22} {shown}", flush=True)


def opened(file: SourceFile) -> Image.Image:
    return Image.open(io.BytesIO(file.read())).convert("L")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", help="labelled films, as for ingest.source")
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--looks", type=int, default=1000)
    asked = parser.parse_args()
    scorer, reference = Scorer.load(asked.bundle), Reference.of_bundle(asked.bundle)
    files = open_source(IngestParams(source=asked.source)).files()
    files = [file for file in files if file.split != "test"]
    rates(look(files, scorer, reference), asked.looks)
    changes(files, scorer, reference)


if __name__ == "__main__":
    main()
