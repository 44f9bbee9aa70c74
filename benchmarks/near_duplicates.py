"""Which copies of a film are found, and how many of the pairs reported are copies.

For each kind of change: a set of real films, one a patient, with one changed copy of each. Recall
is the share of the copies found; precision, the share of the reported pairs that are a film and its
own copy. Each finder sees originals and copies of one kind, never those of another.

    python benchmarks/near_duplicates.py --images FOLDER_OR_ZIP [--imagededup PYTHON]

imagededup is no dependency: PYTHON is the interpreter of an environment of its own that has it.
"""

import argparse
import json
import subprocess
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from functools import cache, partial
from itertools import combinations
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
from changed_copies import CHANGES, plant

from pneumo_core.arrays import Gray
from pneumo_core.data.images import decode, resize
from pneumo_core.params import DedupParams
from pneumo_core.preparation.duplicates import find_duplicates
from pneumo_core.preparation.fingerprint import pixel_sha256
from pneumo_core.sources.patients import kermany, unknown

MAX_PIXELS = 100_000_000
SIZE_PX = 224  # at which the pipeline compares films by default
SUFFIXES = {".jpeg", ".jpg", ".png"}

Pair = frozenset[Path]
Finder = Callable[[list[Path]], list[Pair]]


def choose_originals(images: Path, num_images: int, seed: int, folder: Path) -> list[Path]:
    """Real films as they are, one a patient, no two with the same pixels."""
    files = _zip_files(images) if images.is_file() else _folder_files(images)
    files = dict(sorted(files.items()))
    names = np.random.default_rng(seed).permutation(list(files))
    taken: dict[str, bytes] = {}  # by hash
    patients = set()
    for name in map(str, names):
        group = (kermany(name) or unknown(name)).group
        if len(taken) < num_images and group not in patients:
            patients.add(group)
            data = files[name]()
            taken.setdefault(pixel_sha256(decode(data, MAX_PIXELS).pixels), data)
    folder.mkdir()
    originals = [folder / f"{number:04}.img" for number in range(len(taken))]
    for path, data in zip(originals, taken.values(), strict=True):
        path.write_bytes(data)
    return originals


def _folder_files(folder: Path) -> dict[str, Callable[[], bytes]]:
    found = (path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    return {str(path.relative_to(folder)): path.read_bytes for path in found}


def _zip_files(path: Path) -> dict[str, Callable[[], bytes]]:
    archive = zipfile.ZipFile(path)
    found = (name for name in archive.namelist() if PurePosixPath(name).suffix.lower() in SUFFIXES)
    return {name: partial(archive.read, name) for name in found}


@cache
def _look(path: Path) -> tuple[dict[str, object], Gray]:
    film = decode(path.read_bytes(), MAX_PIXELS, size_px=SIZE_PX)
    sides = {"width_px": film.width_px, "height_px": film.height_px}
    return sides | {"pixel_sha256": pixel_sha256(film.pixels)}, resize(film.pixels, SIZE_PX)


def pneumo_pairs(paths: list[Path]) -> list[Pair]:
    """What `dedup` finds among the films as `validate` packs them."""
    looks = [_look(path) for path in paths]
    table = pd.DataFrame([found for found, _ in looks])
    table = table.assign(image_id=list(map(str, paths)), path=list(map(str, paths)))
    table = table.assign(packed_row=range(len(paths)), split="train", label="NORMAL", state="kept")
    images = np.stack([film for _, film in looks])
    found = find_duplicates(table, images, lambda path: Path(path).read_bytes(), DedupParams())
    pairs = (pair for group in found.exact + found.near for pair in combinations(group, 2))
    return [frozenset(map(Path, pair)) for pair in pairs]


IMAGEDEDUP_WORKER = """
import functools, json, sys, warnings
from imagededup.methods import PHash
warnings.simplefilter("ignore")
phash = PHash(verbose=False)
encode = functools.cache(phash.encode_image)
for line in sys.stdin:
    asked = json.loads(line)
    found = phash.find_duplicates(
        encoding_map={path: encode(path) for path in asked["paths"]},
        max_distance_threshold=asked["max_bits"],
    )
    print(json.dumps([[one, other] for one, others in found.items() for other in others]))
    sys.stdout.flush()
"""


def imagededup_pairs(
    paths: list[Path], worker: "subprocess.Popen[str]", max_bits: int
) -> list[Pair]:
    assert worker.stdin
    assert worker.stdout
    worker.stdin.write(json.dumps({"paths": list(map(str, paths)), "max_bits": max_bits}) + "\n")
    worker.stdin.flush()
    answer = worker.stdout.readline()
    return list({frozenset(map(Path, pair)) for pair in json.loads(answer)})


def compare(originals: list[Path], finders: dict[str, Finder], folder: Path) -> Iterable[str]:
    """The rows of a Markdown table."""
    yield "| change | " + " | ".join(f"{name}: recall | precision" for name in finders) + " |"
    yield "| --- |" + " --: |" * (2 * len(finders))
    nothing = [f"- | {len(finder(originals))} pairs, all false" for finder in finders.values()]
    yield f"| nothing planted | {' | '.join(nothing)} |"
    all_changes: dict[str, Counter[str]] = {name: Counter() for name in finders}
    for number, (name, (change, quality)) in enumerate(CHANGES.items()):
        copies = plant(originals, change, quality, folder / str(number))
        planted = {frozenset(pair) for pair in zip(originals, copies, strict=True)}
        cells = []
        for finder_name, finder in finders.items():
            reported = set(finder(originals + copies))
            counts = Counter(
                true=len(reported & planted), reported=len(reported), planted=len(planted)
            )
            all_changes[finder_name] += counts
            cells.append(_shares(counts))
        yield f"| {name} | {' | '.join(cells)} |"
    yield f"| **all** | {' | '.join(map(_shares, all_changes.values()))} |"


def _shares(counts: Counter[str]) -> str:
    precision = f"{counts['true'] / counts['reported']:.3f}" if counts["reported"] else "-"
    return f"{counts['true'] / counts['planted']:.3f} | {precision}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=Path, required=True, metavar="FOLDER_OR_ZIP")
    parser.add_argument("--num-images", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--imagededup", metavar="PYTHON")
    parser.add_argument("--max-bits", type=int, nargs="+", default=[10, 0], help="of imagededup")
    asked = parser.parse_args()
    finders: dict[str, Finder] = {"pneumo": pneumo_pairs}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if asked.imagededup:
            worker = subprocess.Popen(
                [asked.imagededup, "-c", IMAGEDEDUP_WORKER],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
            stack.enter_context(worker)  # on leaving, its input closes and it ends
            for bits in asked.max_bits:
                finder = partial(imagededup_pairs, worker=worker, max_bits=bits)
                finders[f"imagededup PHash, {bits} of 64 bits"] = finder
        originals = choose_originals(asked.images, asked.num_images, asked.seed, folder / "films")
        print(f"{len(originals)} films of {asked.images.name}, one a patient, seed {asked.seed}.\n")
        for line in compare(originals, finders, folder):
            print(line, flush=True)


if __name__ == "__main__":
    main()
