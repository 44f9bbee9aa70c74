"""What films and patients are called outside of `results/ingest`, and the names that stay in it.

A film is called by the first digits of its file's SHA-256, a patient by the first of their films in
the order of the source. So no name and no number leaves, two machines call a film the same, and no
secret is needed: only who has the film can tell what it is called.
"""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pneumo_core.atomic import replacing_file
from pneumo_core.errors import DataError

NUM_DIGITS = 16
OF_PATIENT = "p-"  # before the id of their first film
UNREADABLE = "unreadable"  # and a number: a file whose bytes did not come

NAMES = ("file", "patient", "group")  # columns beside those of a manifest
SCHEMA = pa.schema(
    [
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("file", pa.string(), nullable=False),  # split/label/name in the source
        pa.field("origin", pa.string(), nullable=False),
        pa.field("source_split", pa.string(), nullable=False),
        pa.field("label", pa.string(), nullable=False),
        pa.field("patient", pa.string()),  # `Patient.key`; null: unknown
        pa.field("group", pa.string()),  # `Patient.group`; null: the film alone
    ]
)


def film_ids(sha256: pd.Series) -> pd.Series:
    """Return the id of each file; equal files get `-2`, `-3` in their order."""
    name = sha256.str[:NUM_DIGITS]
    number = (name.groupby(name, dropna=False).cumcount() + 1).astype(str)
    ids: pd.Series = name.where(number == "1", name + "-" + number)
    return ids.fillna(UNREADABLE + "-" + number)


def called_by_content(described: pd.DataFrame) -> pd.DataFrame:
    """Return described rows with `image_id`, `patient_key` and `patient_group`."""
    image_id = film_ids(described["sha256"].astype(pd.StringDtype()))

    def first_film(name: str) -> pd.Series:
        first = image_id.groupby(described[name]).transform("first")
        return OF_PATIENT + first.fillna(image_id)

    return described.assign(
        image_id=image_id,
        patient_key=first_film("patient"),
        patient_group=first_film("group"),
    )


def write(table: pd.DataFrame, path: Path) -> None:
    """Write the names of films, as `collect` returns them; the same bytes for the same rows."""
    rows = pa.Table.from_pandas(table[SCHEMA.names], SCHEMA, preserve_index=False)
    with replacing_file(path) as draft:
        pq.write_table(rows.replace_schema_metadata(None), draft)


def read(path: Path) -> pd.DataFrame:
    """Return the names in the source's order.

    Raises:
        DataError: the file is missing, or holds something else.
    """
    if not path.is_file():
        raise DataError(f"No names of films at {path}: run the stage ingest first.")
    try:
        table: pd.DataFrame = pq.read_table(path).to_pandas()
    except pa.ArrowInvalid as error:
        raise DataError(f"{path} cannot be read as names of films: {error}.") from error
    if list(table.columns) != SCHEMA.names:
        raise DataError(f"{path} does not hold names of films: run the stage ingest again.")
    return table


def with_names(table: pd.DataFrame, names: pd.DataFrame) -> pd.DataFrame:
    """Return a manifest with the columns `NAMES` of its films.

    Raises:
        DataError: a film has no name, as after another ingest.
    """
    missing = ~table["image_id"].isin(names["image_id"])
    if missing.any():
        raise DataError(
            f"{int(missing.sum())} of {len(table)} films are not those that were ingested: run "
            "the pipeline from ingest again."
        )
    named = names.set_index("image_id").loc[table["image_id"]]
    return table.assign(**{name: named[name].to_numpy() for name in NAMES})


def find(names: pd.DataFrame, wanted: str) -> pd.Series:
    """Return the names of one film.

    Args:
        wanted: its id, the beginning of it, or the id of a patient, whose first film is meant.

    Raises:
        DataError: no film has it, or several have.
    """
    image_id = wanted.strip().lower().removeprefix(OF_PATIENT)
    ids = names["image_id"]
    found = names[ids == image_id] if image_id in set(ids) else names[ids.str.startswith(image_id)]
    if not image_id or found.empty:
        raise DataError(f"No film here is called {wanted!r}: it may be of another source or run.")
    if len(found) > 1:
        raise DataError(f"{len(found)} films begin with {wanted!r}: give more of its digits.")
    return found.iloc[0]
