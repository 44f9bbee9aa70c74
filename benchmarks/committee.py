"""What a committee of the three packaged backbones is worth, over several seeds of training.

    python benchmarks/committee.py ZIP FOLDER [--seeds 0 1 2 3 4] [--set section.key=value ...]

ZIP is the archive; FOLDER gets a clone of this repository and the leaderboard of each seed, and a
seed whose leaderboard is there is not run again. The profile is `archive-cpu` with the strategy
partial, changed by --set. Cells are compared on both validations, seed by seed. The test split is
shown for the cell that validation chose for each seed, and for no other.
"""

import argparse
import os
import shutil
import subprocess
from pathlib import Path

import pandas as pd

from flows.runs import params_file
from pneumo_core.models.committee import NAME
from pneumo_core.models.weights import PACKAGED
from tasks import paths

HERE = Path(__file__).resolve().parent.parent
SHOWN = ["choice_auroc", "val_auroc", "val_shifted_auroc"]
SETTINGS = [
    f"train.models=[{', '.join(PACKAGED)}]",
    "train.strategies=[partial]",
    f"evaluate.committee_size={len(PACKAGED)}",
]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("zip", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--set", action="append", default=[], dest="settings")
    asked = parser.parse_args()
    settings = [f"ingest.source={asked.zip.resolve()}", *SETTINGS, *asked.settings]
    project = asked.folder.resolve() / "project"
    if not project.exists():
        subprocess.run(["git", "clone", "--quiet", HERE, project], check=True)
    os.chdir(project)
    boards = []
    for seed in asked.seeds:
        board = project.parent / f"seed_{seed}.csv"
        if not board.exists():
            params_file.rewrite("archive-cpu", [*settings, f"train.seed={seed}"])
            subprocess.run(["dvc", "repro", "--quiet", "evaluate"], check=True)
            shutil.copyfile(paths.LEADERBOARD, board)
        boards.append(pd.read_csv(board).assign(seed=seed))
    _show(pd.concat(boards))


def _show(rows: pd.DataFrame) -> None:
    """Print the mean and the range over the seeds of each cell, and the committee's gains."""
    for name in SHOWN:
        print(f"\n{name} over {rows['seed'].nunique()} seeds")
        print(rows.groupby("cell")[name].agg(["mean", "min", "max"]).round(4).to_string())
    committee = rows[rows["cell"] == NAME].set_index("seed")
    best = rows[rows["cell"] != NAME].groupby("seed").first()  # a leaderboard is sorted
    print("\ncommittee less the best single cell of its seed")
    print((committee[SHOWN] - best[SHOWN]).agg(["mean", "min", "max"]).round(4).to_string())
    chosen = rows.groupby("seed").first()
    print("\ntest, of the cell that validation chose")
    print(chosen[["cell", "test_auroc", "test_accuracy", "test_sensitivity"]].to_string())


if __name__ == "__main__":
    main()
