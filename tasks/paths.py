"""Where each stage leaves its results; each folder has its stage's name, as in `dvc.yaml`."""

import os
from pathlib import Path

# `dvc exp run --temp` and `--queue` work in a copy of the project, which is thrown away: what is
# below `var/`, and the ledgers, are the project's own.
DVC_EXPERIMENT = os.environ.get("DVC_EXP_NAME")  # None: this is no experiment of DVC
PROJECT = Path(os.environ["DVC_ROOT"]) if DVC_EXPERIMENT else Path()

ERASED = Path("sources/erased.json")  # keyed hashes of erased patients; committed

RAW = Path("results/ingest/raw")
INGESTED = Path("results/ingest/manifest.parquet")
NAMES = Path("results/ingest/names.parquet")  # of films and patients; no other stage writes any
INGEST_SUMMARY = Path("results/ingest/summary.json")

VALIDATED = Path("results/validate/manifest.parquet")
IMAGES = Path("results/validate/images")
QUARANTINE = Path("results/validate/quarantine.csv")
VALIDATION = Path("results/validate/validation.json")

DEDUPLICATED = Path("results/dedup/manifest.parquet")
DUPLICATES = Path("results/dedup/duplicates.json")

SPLIT = Path("results/split/manifest.parquet")
SPLIT_SUMMARY = Path("results/split/summary.json")
CERTIFICATE = Path("results/split/certificate.json")

TRAIN_IMAGES = Path("results/augment/images")
TRAIN_FILMS = Path("results/augment/films.parquet")

TRAINED = Path("results/train")  # a folder a cell
WEIGHTS, BLUEPRINT = "weights.safetensors", "blueprint.json"

EVALUATED = Path("results/evaluate/cells")  # a folder a cell
BUNDLE = "bundle"
VALIDATIONS = ("val", "val_shifted")  # films as they are, and as another place might take them
SAMPLE = "pinned_sample.json"  # beside the bundle in the registry
LEADERBOARD = Path("results/evaluate/leaderboard.csv")
COMPARISONS = Path("results/evaluate/comparisons.json")
METRICS = Path("results/evaluate/metrics.json")
EXTERNAL = Path("results/evaluate/external")  # a folder a set
EXTERNAL_SET = "set.json"
PLOTS = Path("results/evaluate/plots")  # what `dvc plots show` draws

AUDIT = Path("results/audit/audit.json")
WINNER_AUDIT = Path("results/audit/winner.json")

REPORT = Path("reports")
PAGE, FIGURES = "index.html", "figures"
DECISION = Path("results/promote/decision.json")

# Not versioned: what helps the next run, and logs.
SCRATCH = PROJECT / "var"
SOURCES = SCRATCH / "sources"
SEARCHED = SCRATCH / "dedup" / "searched.npz"  # by dedup: hashes and pairs of its films
DATA_DOCS = SCRATCH / "data_docs"
EVENTS = SCRATCH / "events"
RUN_LOG = SCRATCH / "run.log"  # the lines of the last run in a terminal
MONITOR = SCRATCH / "monitor"
VERSIONS = Path("var/versions")  # of libraries; what the stage of that name writes

SALT = SCRATCH / "salt"  # of hashes of patients; not to be lost

# Append-only, to be committed: who scored the test split, who became champion.
TEST_LEDGER_HERE = Path("ledger/test_scoring.jsonl")  # which `dvc exp apply` brings
TEST_LEDGER = PROJECT / TEST_LEDGER_HERE
PROMOTION_LEDGER = PROJECT / "ledger/promotions.jsonl"
PINNED_PATIENTS = Path("ledger/pinned_patients.json")  # not append-only: a patient may join test
RELEASE_LEDGER = PROJECT / "ledger/releases.jsonl"
ERASURE_LEDGER = PROJECT / "ledger/erasures.jsonl"

TRUSTED_KEYS = PROJECT / "mlflow/trusted_keys"  # public keys of those who may sign models


def trained(model: str, strategy: str) -> Path:
    """Return the folder of a cell, as `dvc.yaml` names it; hf-hub:owner/name is two levels."""
    return TRAINED / f"{model}-{strategy}"


def learning_curve(model: str, strategy: str) -> Path:
    """Return the file of a cell's learning curve, which grows while the cell trains."""
    return TRAINED / f"{model}-{strategy}.csv"
