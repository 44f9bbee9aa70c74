"""The manifest: one row per source image, the interface between the stages.

Counting law: rows in = kept + quarantined + duplicates, at every stage.

Beside the columns of the schema a manifest may have *metadata*: what else the source says of a film
or its patient, such as `meta_age` (years), `meta_sex`, `meta_view` or `meta_site`, each as text,
null where it is not known. Nothing that identifies a patient may stand there.
"""

import itertools
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pneumo_core.atomic import replacing_file
from pneumo_core.errors import DataError
from pneumo_core.labels import LABELS, MIN_FILMS, MIN_PATIENTS, SPLITS

SCHEMA_VERSION = 3
METADATA = "meta_"  # what the columns of metadata begin with

MAX_AGE_YEARS = 120
# Each by its lowest age in years; where all are children, in finer groups.
AGE_GROUPS = {0: "0-17", 18: "18-39", 40: "40-64", 65: "65+"}
AGE_GROUPS_OF_CHILDREN = {0: "0", 1: "1-4", 5: "5-11", 12: "12-17"}
ADULT_FROM = 18

KEPT, QUARANTINED, DUPLICATE = "kept", "quarantined", "duplicate"

SCHEMA = pa.schema(
    [
        pa.field("image_id", pa.string(), nullable=False),  # by its bytes: `sources/identity.py`
        pa.field("path", pa.string(), nullable=False),  # file below `results/ingest/raw`
        pa.field("origin", pa.string(), nullable=False),  # the source that gave it, by name
        pa.field("source_split", pa.string(), nullable=False),  # as the source has it
        pa.field("split", pa.string(), nullable=False),  # as the pipeline uses it
        pa.field("label", pa.string(), nullable=False),
        pa.field("subtype", pa.string()),  # bacteria, virus, or null
        pa.field("patient_key", pa.string(), nullable=False),  # same key: confirmed same patient
        pa.field("patient_group", pa.string(), nullable=False),  # same group: possibly the same
        pa.field("patient_rule", pa.string(), nullable=False),
        pa.field("file_bytes", pa.int64(), nullable=False),
        pa.field("sha256", pa.string()),  # of the file; null if it cannot be read
        pa.field("pixel_sha256", pa.string()),  # of the decoded gray pixels and their shape
        pa.field("perceptual_hash", pa.string()),  # 256 bits as 64 hex digits
        pa.field("width_px", pa.int32()),
        pa.field("height_px", pa.int32()),
        pa.field("colour_mode", pa.string()),
        pa.field(
            "jpeg_quality", pa.int32()
        ),  # 1..100, from the quantisation table; null: not a JPEG
        pa.field("mean", pa.float64()),  # of the gray pixels, 0..255
        pa.field("std", pa.float64()),
        pa.field("packed_row", pa.int64()),  # row of the packed films, `results/validate/images`
        pa.field("state", pa.string(), nullable=False),
        pa.field("reason", pa.string()),
        pa.field("duplicate_of", pa.string()),
    ],
    metadata={"pneumo_manifest_version": str(SCHEMA_VERSION)},
)


def conform(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with the schema's columns and types; missing columns become null."""
    return _to_pandas(_to_arrow(table))


def write(table: pd.DataFrame, path: Path) -> None:
    """Write a Parquet file, with the same bytes for the same rows."""
    with replacing_file(path) as draft:
        pq.write_table(_to_arrow(table), draft)


def read(path: Path) -> pd.DataFrame:
    """Return the rows in the file's order.

    Raises:
        DataError: the file is missing, is not Parquet or has another version of the schema.
    """
    if not path.is_file():
        raise DataError(f"No manifest at {path}: run the stage before this one first.")
    try:
        table = pq.read_table(path)
    except pa.ArrowInvalid as error:
        raise DataError(f"{path} cannot be read as a manifest: {error}.") from error
    version = (table.schema.metadata or {}).get(b"pneumo_manifest_version", b"none").decode()
    if version != str(SCHEMA_VERSION):
        raise DataError(
            f"{path} has manifest version {version}, this code reads {SCHEMA_VERSION}: "
            "run the pipeline from ingest again."
        )
    return _to_pandas(table)


def _to_arrow(table: pd.DataFrame) -> pa.Table:
    schema = SCHEMA
    for column in metadata_columns(table):
        schema = schema.append(pa.field(column, pa.string()))
    table = table.reindex(columns=schema.names)
    rows = pa.Table.from_pandas(table, schema, preserve_index=False)
    return rows.replace_schema_metadata(SCHEMA.metadata)  # not what pandas notes of itself


def _to_pandas(table: pa.Table) -> pd.DataFrame:
    integers = {pa.int32(): pd.Int32Dtype(), pa.int64(): pd.Int64Dtype()}  # that can be null
    strings = {pa.string(): pd.StringDtype()}
    frame: pd.DataFrame = table.to_pandas(types_mapper=(integers | strings).get)
    return frame


def metadata_columns(table: pd.DataFrame) -> list[str]:
    """Return the columns of metadata, sorted."""
    return sorted(column for column in table.columns if str(column).startswith(METADATA))


def age_groups(ages: pd.Series) -> pd.Series:
    """Return the name of each patient's age group; null where the age is not known or impossible.

    Args:
        ages: in years, as numbers or text.
    """
    years = pd.to_numeric(ages, errors="coerce").astype(np.float64)
    known = years[years.between(0, MAX_AGE_YEARS)]
    groups = AGE_GROUPS_OF_CHILDREN if (known < ADULT_FROM).all() else AGE_GROUPS
    place = np.searchsorted(list(groups), known, side="right") - 1
    names = pd.Series(np.array(list(groups.values()))[place], known.index, dtype=object)
    return names.reindex(ages.index)


def kept(table: pd.DataFrame, split: str | None = None) -> pd.DataFrame:
    rows = table["state"] == KEPT
    if split is not None:
        rows &= table["split"] == split
    return table[rows]


def label_indices(table: pd.DataFrame) -> pd.Series:
    return table["label"].map(LABELS.index)


def count(table: pd.DataFrame, *columns: str) -> dict[str, int]:
    """Return the number of rows by the columns' values, joined with '/' and sorted."""
    sizes = table.groupby(list(columns)).size()
    return {
        "/".join(map(str, key if isinstance(key, tuple) else (key,))): int(size)
        for key, size in sorted(sizes.items())
    }


def count_steps(table: pd.DataFrame, *kinds: str) -> pd.DataFrame:
    """Count of films at each step, a row for each split and combination of the columns `kinds`.

    files - quarantined - duplicate + moved = used; whole patients are moved.
    """
    known = table.fillna(dict.fromkeys(kinds, ""))
    others = set(known["split"]) | set(known["source_split"])
    splits = [*SPLITS, *sorted(others - set(SPLITS))]
    combinations = known[list(kinds)].drop_duplicates().sort_values(list(kinds))
    index = pd.MultiIndex.from_tuples(
        [(split, *row) for split in splits for row in combinations.itertuples(index=False)],
        names=["split", *kinds],
    )

    def sizes(rows: pd.DataFrame, split: str) -> pd.Series:
        return rows.groupby([split, *kinds]).size().reindex(index, fill_value=0)

    steps = pd.DataFrame({"files": sizes(known, "source_split")})
    for state in (QUARANTINED, DUPLICATE):
        steps[state] = sizes(known[known["state"] == state], "source_split")
    used = sizes(kept(known), "split")
    moved = used - (steps["files"] - steps[QUARANTINED] - steps[DUPLICATE])
    return steps.assign(moved=moved, used=used).reset_index()


def check_counting_law(before: pd.DataFrame, after: pd.DataFrame) -> None:
    """Raise DataError if a stage lost or added a row, or set an unknown state."""
    states = after["state"].isin([KEPT, QUARANTINED, DUPLICATE])
    if not states.all() or sorted(before["image_id"]) != sorted(after["image_id"]):
        raise DataError(
            f"Counting law broken: {len(before)} rows in, {len(after)} out, "
            f"states {json.dumps(count(after, 'state'))}. This is a defect of pneumo."
        )


def check_judges(table: pd.DataFrame) -> None:
    """Check that validation and test can judge a model, before any is trained.

    Raises:
        DataError: one of them has too few films or patients of a class for figures.
    """
    for split, label in itertools.product(("val", "test"), LABELS):
        films = kept(table, split).query("label == @label")
        num_patients = films["patient_key"].nunique()
        if len(films) < MIN_FILMS or num_patients < MIN_PATIENTS:
            raise DataError(
                f"The split {split} has {len(films)} films of {num_patients} patients of the class "
                f"{label}: figures need at least {MIN_FILMS} films of {MIN_PATIENTS} patients. Add "
                "films, or change split.val_per_class, split.test_fraction or split.test_per_class."
            )
