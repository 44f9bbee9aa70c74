"""Labelled images in a Parquet file, as the Hugging Face hub stores them.

The image column is a struct {bytes, path}. Labels are names, or numbers whose names are in the
hub's metadata in the file's schema.
Parquet compresses whole pages, so reading images in another order would unpack them repeatedly:
the rows are written once to an Arrow file, from which each one is mapped into memory.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from pneumo_core.atomic import replacing_file
from pneumo_core.errors import SourceError
from pneumo_core.labels import canonical
from pneumo_core.sources.layout import CLASS_NAMES, parse_label

BATCH_ROWS = 64


@dataclass(frozen=True)
class ImageRow:
    number: int
    label: str
    name: str | None  # as the data set's authors had it
    num_bytes: int
    read: Callable[[], bytes]
    metadata: Mapping[str, str]


def read_rows(
    path: Path,
    unpacked: Path,
    labels: tuple[str, ...] | None,
    class_names: Mapping[str, str] = CLASS_NAMES,
    metadata: Sequence[str] = (),
) -> Iterator[ImageRow]:
    """Yield the labelled images.

    Args:
        unpacked: path of the Arrow file, which is written if it is not there.
        labels: names of the label numbers, instead of those in the file.
        metadata: columns, in any case, whose values are wanted where they are there.

    Raises:
        SourceError: not Parquet, no column of images or of labels, or an unknown label.
    """
    import pyarrow as pa

    try:
        if not unpacked.is_file():
            _unpack(path, unpacked)
        reader = pa.ipc.open_file(pa.memory_map(str(unpacked)))
    except (OSError, ValueError) as error:  # pa.ArrowInvalid is a ValueError
        raise SourceError(f"{path} cannot be read as a Parquet file: {error}.") from error
    features = _features(reader.schema)
    image_column = _column(reader.schema, features, "Image", "image", path)
    label_column = _column(reader.schema, features, "ClassLabel", "label", path)
    kind = reader.schema.field(image_column).type
    if not pa.types.is_struct(kind) or not {"bytes", "path"} <= {field.name for field in kind}:
        raise SourceError(f"{path}: column {image_column} is not a struct of bytes and path.")
    names = labels or tuple(features.get(label_column, {}).get("names", ()))
    columns = {name.casefold(): name for name in reader.schema.names}
    wanted = {name: columns[name.casefold()] for name in metadata if name.casefold() in columns}
    number = 0
    for index in range(reader.num_record_batches):
        batch = reader.get_batch(index)
        images = batch.column(image_column)
        values = {name: batch.column(column).to_pylist() for name, column in wanted.items()}
        for row, label in enumerate(batch.column(label_column).to_pylist()):
            where = f"{path}, row {number}"
            known = {name: str(of[row]) for name, of in values.items() if of[row] is not None}
            label = _label(label, names, where, class_names)
            yield _image_row(number, label, images, row, known)
            number += 1


def _unpack(path: Path, unpacked: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    packed = pq.ParquetFile(path)
    with (
        replacing_file(unpacked) as draft,
        pa.OSFile(str(draft), "wb") as file,
        pa.ipc.new_file(file, packed.schema_arrow) as writer,
    ):
        for batch in packed.iter_batches(BATCH_ROWS):
            writer.write_batch(batch)


def _features(schema: Any) -> dict[str, dict[str, Any]]:
    """Return the hub's metadata of the columns; empty if there is none."""
    noted = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
    features: dict[str, dict[str, Any]] = noted.get("info", {}).get("features", {})
    return features


def _column(
    schema: Any, features: dict[str, dict[str, Any]], kind: str, usual_name: str, path: Path
) -> str:
    named = [name for name, feature in features.items() if feature.get("_type") == kind]
    for name in (*named, usual_name):
        if name in schema.names:
            return name
    raise SourceError(
        f"{path} has the columns {', '.join(schema.names)}: expected {usual_name!r}, or one that "
        f"the hub's metadata calls {kind}."
    )


def _label(
    label: int | str | None, names: tuple[str, ...], where: str, class_names: Mapping[str, str]
) -> str:
    if isinstance(label, int) and 0 <= label < len(names):
        return parse_label(names[label], where, class_names)
    if isinstance(label, int) and not names and canonical(label) not in class_names:
        raise SourceError(
            f"{where}: label {label} has no name in the file; give them all in the "
            "description, as labels: [NORMAL, PNEUMONIA]."
        )
    return parse_label(str(label), where, class_names)


def _image_row(
    number: int, label: str, images: Any, row: int, metadata: Mapping[str, str]
) -> ImageRow:
    data, path = images.field("bytes"), images.field("path")

    def read() -> bytes:
        if not data[row].is_valid:
            raise OSError(f"row {number} of the Parquet file holds no image")
        content: bytes = data[row].as_py()
        return content

    size = data[row].as_buffer().size if data[row].is_valid else 0
    name = PurePosixPath((path[row].as_py() or "").replace("\\", "/")).name
    return ImageRow(number, label, name if name.strip(".") else None, size, read, metadata)
