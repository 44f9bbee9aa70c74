"""What `pneumo[serve]` needs on disk, and whether it reads films as torch does.

    python benchmarks/serve_install.py BUNDLE FILMS

Makes an environment of `serve.lock` alone, whose packages come from the package index, and has it
read at most 300 films of the folder FILMS by `pneumo predict`. Here torch reads the same films.
"""

import argparse
import json
import shutil
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path

from pneumo_core.inference.files import load_model, predict

ROOT = Path(__file__).parent.parent
NUM_FILMS, MAX_MB, MAX_DIFFERENCE = 300, 700, 1e-4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("films", type=Path)
    asked = parser.parse_args()
    films = sorted(path for path in asked.films.rglob("*") if path.is_file())[:NUM_FILMS]
    with tempfile.TemporaryDirectory() as scratch:
        env = Path(scratch) / "env"
        install(env)
        num_mb = sum(path.lstat().st_size for path in env.rglob("*") if path.is_file()) / 1e6
        print(f"{num_mb:.0f} MB on disk: {'ok' if num_mb <= MAX_MB else 'NOT MET'}")
        imported = subprocess.run(
            [env / "bin" / "python", "-c", "import torch"], capture_output=True
        )
        print(f"torch cannot be imported: {'ok' if imported.returncode else 'NOT MET'}")
        there = read(env, asked.bundle.resolve(), films)
    model = load_model(asked.bundle)
    in_torch = replace(model.scorer, engine=model.scorer.engine.in_torch())
    pairs = list(zip(there, predict(replace(model, scorer=in_torch), films), strict=True))
    both = [(a, b) for a, b in pairs if "probability" in a and "probability" in b]
    if not both:
        raise SystemExit("Every film was refused: take films of the kind that it learned from.")
    away = max(abs(a["probability"] - b["probability"]) for a, b in both)
    same = all(a.get("decision") == b.get("decision") for a, b in pairs)
    print(
        f"{len(pairs)} films, {len(pairs) - len(both)} refused, probabilities within {away:.1g}, "
        f"decisions {'the same' if same else 'DIFFERENT'}: "
        f"{'ok' if same and away <= MAX_DIFFERENCE else 'NOT MET'}"
    )


def install(env: Path) -> None:
    python = env / "bin" / "python"
    subprocess.run(["uv", "venv", "--quiet", env], check=True)
    pip = ["uv", "pip", "install", "--quiet", "--link-mode", "copy", "--python", python]
    subprocess.run([*pip, "--require-hashes", "-r", ROOT / "serve.lock"], check=True)
    code, tar = env.with_name("code"), env.with_name("code.tar")
    subprocess.run(["git", "-C", ROOT, "archive", "-o", tar, "HEAD"], check=True)
    shutil.unpack_archive(tar, code)  # a build leaves files beside the code
    subprocess.run([*pip, "--no-deps", code], check=True)


def read(env: Path, bundle: Path, films: list[Path]) -> list[dict[str, float | str]]:
    command = [env / "bin" / "pneumo", "predict", "--json", "--bundle", bundle]
    found = subprocess.run([*command, *films], cwd=env, capture_output=True, text=True)
    return [json.loads(line) for line in found.stdout.splitlines()]


if __name__ == "__main__":
    main()
