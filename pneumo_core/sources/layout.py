"""The layout of the Kaggle archive: `[x/]{train,val,test}/{NORMAL,PNEUMONIA}/[x/]name`, x anything.

`val` may be called valid, validation or dev, and `ingest.labels` gives the classes more names. An
image without a split and a class is an error, unless `ingest.ignore` lists its folder, so no film
disappears.

Upper and lower case are the same. System files (`__MACOSX`, `.DS_Store`, hidden files) are not
images and are left out. The Kaggle zip holds its tree twice: of two files with one place, the
shallower one counts, and the other is left out only if its bytes are the same.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from pathlib import PurePosixPath

from pneumo_core.errors import SourceError
from pneumo_core.labels import LABELS, SPLITS, canonical
from pneumo_core.params import IngestParams
from pneumo_core.sources.source import SourceFile

LITTER = {"__macosx", "thumbs.db", "desktop.ini"}
SPLIT_NAMES = {split: split for split in SPLITS} | dict.fromkeys(
    ("valid", "validation", "dev"), "val"
)
IMAGE_SUFFIXES = {
    *(".jpeg", ".jpg", ".jfif", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".jp2"),
    *(".dcm", ".dicom"),
}
MAX_NAMED = 5  # folders in a message
CLASS_NAMES: Mapping[str, str] = {canonical(label): label for label in LABELS}


def parse_place(
    path: PurePosixPath, class_names: Mapping[str, str] = CLASS_NAMES
) -> tuple[str, str, str] | None:
    """Return (split, label, name) of a path in the layout, else None.

    Args:
        class_names: class by each of its names (`IngestParams.class_names`).
    """
    if is_litter(path):
        return None
    folders = path.parts[:-1]
    for end in range(len(folders), 1, -1):
        split = SPLIT_NAMES.get(folders[end - 2].lower())
        label = class_names.get(canonical(folders[end - 1]))
        if split is not None and label is not None:
            return split, label, "/".join(path.parts[end:])
    return None


def is_litter(path: PurePosixPath) -> bool:
    return any(part.lower() in LITTER or part.startswith(".") for part in path.parts)


def require_placed(
    paths: Iterable[PurePosixPath], ignore: Collection[str], described_as: str
) -> None:
    """Check that no image is left out by mistake.

    Args:
        paths: files that are not in the layout, below the source's root.
        ignore: names of folders whose images are left out on purpose.

    Raises:
        SourceError: some of them are images; it names their folders, with counts.
    """
    left = Counter(
        path.parent.as_posix()
        for path in paths
        if path.suffix.lower() in IMAGE_SUFFIXES
        and not is_litter(path)
        and not set(ignore).intersection([*path.parent.parts, path.parent.as_posix()])
    )
    if left:
        named = [f"{count} in {folder}/" for folder, count in left.most_common(MAX_NAMED)]
        more = f" and {len(left) - MAX_NAMED} more folders" if len(left) > MAX_NAMED else ""
        raise SourceError(
            f"{described_as} has {left.total()} images that are in no split and class "
            f"({', '.join(named)}{more}): move them to {{train,val,test}}/{{NORMAL,PNEUMONIA}}/ or "
            "list the folders to leave out in ingest.ignore."
        )


def parse_label(text: str, where: str, class_names: Mapping[str, str] = CLASS_NAMES) -> str:
    """Return the class that a name means.

    Raises:
        SourceError: it means none; the message begins with `where` and says how to map it.
    """
    if label := class_names.get(canonical(text)):
        return label
    raise SourceError(
        f"{where}: label {text!r}, expected {' or '.join(LABELS)}, in any case. "
        "To map other names, set ingest.labels, such as "
        "{NORMAL: [No Finding, 0], PNEUMONIA: [Pnemonia, 1]}."
    )


def parse_split(text: str, where: str) -> str:
    """Return the split; raise SourceError, which names `where`, if it is not the name of one."""
    if text.strip().lower() in SPLIT_NAMES:
        return SPLIT_NAMES[text.strip().lower()]
    raise SourceError(f"{where}: split {text!r}, expected one of {', '.join(SPLIT_NAMES)}.")


def settle_places(
    files_by_depth: Iterable[tuple[int, SourceFile]], described_as: str
) -> list[SourceFile]:
    """Return one file for each place, in the order of the ids.

    Raises:
        SourceError: no file has a place, or two different files have the same one.
    """
    settled: dict[str, SourceFile] = {}
    for _, file in sorted(files_by_depth, key=lambda entry: (entry[0], entry[1].image_id)):
        first = settled.setdefault(file.image_id, file)
        if first is not file and not _same_bytes(first, file):
            raise SourceError(
                f"{described_as} holds two different files for {file.image_id}: "
                "rename or remove one of them."
            )
    if not settled:
        raise SourceError(
            f"No images in {described_as}: expected files in "
            "{train,val,test}/{NORMAL,PNEUMONIA}/, at any depth."
        )
    return [settled[image_id] for image_id in sorted(settled)]


def _same_bytes(first: SourceFile, second: SourceFile) -> bool:
    try:
        return first.read() == second.read()
    except OSError:
        return False  # not shown to be the same


def over_limits(sizes: list[int], limits: IngestParams) -> str | None:
    """Return which limit files of these sizes exceed, or None."""
    if len(sizes) > limits.max_files:
        return f"holds {len(sizes)} files, ingest.max_files allows {limits.max_files}"
    if sum(sizes) > limits.max_total_bytes:
        return (
            f"would unpack to {sum(sizes) / 1e9:.1f} GB, ingest.max_total_gb allows "
            f"{limits.max_total_gb:g}"
        )
    return None
