#!/usr/bin/env bash
# All that only a GPU can tell, in one call: images a second of the study's twelve cells beside the
# ceiling and the plain loop, the time that its whole grid takes by that, and, where a source of
# films is given, the profile `best`, run.
#   benchmarks/on_gpu.sh OUT [SOURCE]
# The first part needs no data and no network; `best` needs timm's hub, or a folder of weights in
# PNEUMO_WEIGHTS (`pneumo weights fetch`). BATCH (64), SIZE (512) and SECONDS_EACH (8) change the
# first part.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$1"
out=$(cd "$1" && pwd)
source=${2:-}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
git clone --quiet "$here" "$folder/project"
cd "$folder/project"
[ -d "$here/.venv/bin" ] && export PATH="$here/.venv/bin:$PATH"
export PREFECT_HOME="$folder/prefect"

nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv,noheader || true
python -c "from flows.runs import params_file; params_file.rewrite('study', [])"
pneumo benchmark --out "$out" --image-size "${SIZE:-512}" --batch "${BATCH:-64}" \
  --seconds "${SECONDS_EACH:-8}"
python benchmarks/project_study.py "$out/benchmark.json"
if [ -n "$source" ]; then
  pneumo run --profile best --set "ingest.source=$source" \
    --set "train.weights=${PNEUMO_WEIGHTS:-hub}"
  cp -r results/evaluate reports "$out"
fi
