"""A hundred films more: what the run after it costs, up to the augmented training set.

    python benchmarks/incremental.py --images ZIP [--films 100] [--size 224]

Runs `dvc repro augment` in a project of its own, adds drawn films to the source and runs it again.
`work` is the time inside the stages' own functions, without starting Python and DVC five times.
Counts what DVC would have to send to a remote, too.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("dvc.yaml", "params.yaml", "profiles", "sources", "mlflow", "flows", "tasks")
STAGES = ("ingest", "validate", "dedup", "split", "augment")
WORK = """
import json, sys, time
from pathlib import Path
from importlib import import_module
from pneumo_core import params
from tasks import places, quiet
quiet.apply()
settings, seconds = params.load(places.PARAMS), {}
import great_expectations
for stage in sys.argv[1:]:
    module = import_module(f"tasks.{stage}")
    begun = time.perf_counter()
    module.run(settings.section(stage))
    seconds[stage] = time.perf_counter() - begun
Path("seconds.json").write_text(json.dumps(seconds))
"""


def make_project(folder: Path, source: Path, size_px: int) -> None:
    for part in (*PARTS, "pneumo_core"):
        (folder / part).symlink_to(ROOT / part)
    for part in ("params.yaml",):
        (folder / part).unlink()
        (folder / part).write_bytes((ROOT / part).read_bytes())
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    subprocess.run(["dvc", "init", "-q"], cwd=folder, check=True)
    subprocess.run(["dvc", "config", "core.analytics", "false"], cwd=folder, check=True)
    subprocess.run(["dvc", "config", "cache.type", "reflink,hardlink,copy"], cwd=folder, check=True)
    code = (
        "import sys; from flows.runs.params_file import rewrite as r; r(sys.argv[1], sys.argv[2:])"
    )
    values = [f"ingest.source={source}", f"validate.image_size_px={size_px}"]
    subprocess.run([sys.executable, "-c", code, "archive-cpu", *values], cwd=folder, check=True)


def repro(folder: Path) -> float:
    begun = time.perf_counter()
    subprocess.run(
        ["dvc", "repro", "-q", "augment"], cwd=folder, check=True, stdout=subprocess.DEVNULL
    )
    return time.perf_counter() - begun


def work(folder: Path) -> dict[str, float]:
    subprocess.run(
        [sys.executable, "-c", WORK, *STAGES],
        cwd=folder,
        check=True,
        stdout=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    seconds: dict[str, float] = json.loads((folder / "seconds.json").read_text())
    return seconds


def add_films(source: Path, count: int, size_px: int) -> None:
    from PIL import Image

    from pneumo_core.sources.phantom import PhantomParams, PhantomSource

    half = {"NORMAL": count // 2, "PNEUMONIA": count - count // 2}
    nothing = {"NORMAL": 0, "PNEUMONIA": 0}
    description = PhantomParams(kind="phantom", seed=7, train=half, val=nothing, test=nothing)
    for file in PhantomSource(description).files():
        name = re.sub(r"(person|IM-)(\d+)", lambda m: f"{m[1]}{int(m[2]) + 9000}", file.name)
        path = source / "train" / file.label / name
        path.write_bytes(file.read())
        Image.open(path).resize((size_px, size_px)).save(path, quality=90)


def cached_bytes(folder: Path) -> dict[str, int]:
    files = (folder / ".dvc" / "cache").rglob("*")
    return {path.name + path.parent.name: path.stat().st_size for path in files if path.is_file()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=Path, required=True, metavar="ZIP")
    parser.add_argument("--films", type=int, default=100)
    parser.add_argument("--size", type=int, default=224)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        zipfile.ZipFile(asked.images).extractall(scratch)
        (source,) = (path for path in Path(scratch).iterdir() if path.is_dir())
        by_dvc, by_hand = Path(scratch) / "dvc", Path(scratch) / "hand"
        for folder in (by_dvc, by_hand):
            folder.mkdir()
            make_project(folder, source, asked.size)
        cold, cold_work = repro(by_dvc), work(by_hand)
        before = cached_bytes(by_dvc)
        add_films(source, asked.films, asked.size)
        again, again_work = repro(by_dvc), work(by_hand)
        new = {name: size for name, size in cached_bytes(by_dvc).items() if name not in before}
    print("| what | cold | again | share |\n| --- | --: | --: | --: |")
    rows = {"dvc repro augment": (cold, again)}
    rows |= {f"work of {stage}": (cold_work[stage], again_work[stage]) for stage in STAGES}
    rows["all work"] = (sum(cold_work.values()), sum(again_work.values()))
    for name, (first, second) in rows.items():
        print(f"| {name} | {first:.1f} s | {second:.1f} s | {second / first:.0%} |")
    all_bytes = sum(before.values())
    print(
        f"\nDVC's cache: {len(before)} objects of {all_bytes / 1e6:.0f} MB, then {len(new)} new "
        f"ones of {sum(new.values()) / 1e6:.0f} MB ({sum(new.values()) / all_bytes:.0%})"
    )


if __name__ == "__main__":
    main()
