"""How long the maps of sixteen films take.

python benchmarks/saliency.py BUNDLE
"""

import argparse
import time
from pathlib import Path

import numpy as np

from pneumo_core.evaluation.saliency import map_films
from pneumo_core.evaluation.scoring import Scorer

NUM_FILMS, MAX_S = 16, 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    scorer = Scorer.load(parser.parse_args().bundle)
    there = scorer.description
    shape = (NUM_FILMS, there.image_size_px, there.image_size_px)
    noise = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    begun = time.perf_counter()
    map_films(scorer.engine, noise)
    seconds = time.perf_counter() - begun
    verdict = "ok" if seconds <= MAX_S else "NOT MET"
    print(f"{NUM_FILMS} films of {there.image_size_px} px: {seconds:.1f} s: {verdict}")


if __name__ == "__main__":
    main()
