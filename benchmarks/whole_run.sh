#!/usr/bin/env bash
# Wall time and peak memory of `pneumo run` in a fresh clone, then of a second run.
#   benchmarks/whole_run.sh [--profile NAME] [--set section.key=value ...]
# Needs `make install` to have been run here; the packages of this .venv are used.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
git clone --quiet "$here" "$folder/project"
cd "$folder/project"
export PATH="$here/.venv/bin:$PATH" PREFECT_HOME="$folder/prefect"
measure() {
  python - "$@" <<'PY'
import resource, subprocess, sys, time
begun = time.perf_counter()
subprocess.run(sys.argv[1:], check=True)
seconds = time.perf_counter() - begun
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
print(f"{' '.join(sys.argv[1:])}: {seconds:.1f} s, largest process {peak:.2f} GB")
PY
}
measure pneumo run "$@"
measure pneumo run
measure dvc repro
