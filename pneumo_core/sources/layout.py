"""Where a film stands in a tree of folders: `[x/][{train,val,test}/]{NORMAL,PNEUMONIA}/[x/]name`.

x is anything. Splits have other names too (Training, valid, dev, TEST), and `ingest.labels` gives
the classes more names; case does not matter. Either all films are in splits or none is: then their
split is `all`, and the stage split deals them. An image in another place, or in two splits or two
classes, is an error, unless `ingest.ignore` lists its folder, so no film disappears.

System files (`__MACOSX`, `.DS_Store`, `DICOMDIR`, hidden files) are not images and are left out.
The Kaggle zip holds its tree twice: of two files with one place, the shallower one counts, and the
other is left out only if its bytes are the same.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache
from pathlib import PurePosixPath
from typing import TypeVar

from pneumo_core.errors import SourceError
from pneumo_core.labels import LABELS, UNSPLIT, canonical
from pneumo_core.params import IngestParams
from pneumo_core.sources.notes import Notes
from pneumo_core.sources.source import SourceFile

LITTER = {"thumbs.db", "desktop.ini", "autorun.inf", "dicomdir", "version"}
LITTER_FOLDER, DOWNLOAD_MARK = "__macosx", ":zone.identifier"
SPLIT_PATTERNS = {  # of names in lower case; "test_set", "train images" and the like too
    split: re.compile(rf"(?:{names})(?:[ _-]?(?:set|data|split|images))?")
    for split, names in {
        "train": "train(?:ing)?|trn",
        "val": "val(?:id(?:at(?:e|ion))?)?|dev(?:elopment)?",
        "test": "test(?:ing)?|tst|hold[ _-]?out",
    }.items()
}
IMAGE_SUFFIXES = {
    *(".jpeg", ".jpg", ".jfif", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".jp2"),
    *(".heic", ".heif", ".avif", ".dcm", ".dicom"),
}
ARCHIVE_SUFFIXES = {".zip", ".rar", ".7z", ".tar", ".tgz", ".gz"}
TABLE_SUFFIXES = {".csv", ".tsv", ".xls", ".xlsx"}
IGNORED = "left out: {} files in folders of ingest.ignore"
NO_IMAGES = "left out: {} files that are no images by their names"
MAX_NAMED = 5  # folders in a message
CLASS_NAMES: Mapping[str, str] = {canonical(label): label for label in LABELS}

File = TypeVar("File")
Place = tuple[str, str, str]  # split, label, name
Placed = list[tuple[Place, PurePosixPath, File]]
Unplaced = list[tuple[PurePosixPath, File]]


@cache
def split_name(text: str) -> str | None:
    """Return the split that a name means, else None."""
    name = text.strip().lower()
    return next((s for s, pattern in SPLIT_PATTERNS.items() if pattern.fullmatch(name)), None)


def parse_place(path: PurePosixPath, class_names: Mapping[str, str] = CLASS_NAMES) -> Place | None:
    """Return (split, label, name) of a path in the layout, else None.

    Without any split on the path, the split is `labels.UNSPLIT`, and one class must be there.

    Args:
        class_names: class by each of its names (`IngestParams.class_names`).
    """
    if is_litter(path):
        return None
    splits = [split_name(folder) for folder in path.parts[:-1]]
    labels = [class_names.get(canonical(folder)) for folder in path.parts[:-1]]
    for end in range(len(splits), 1, -1):
        split, label = splits[end - 2], labels[end - 1]
        if split is not None and label is not None:
            if {*splits} - {None, split} or {*labels[end:]} - {None, label}:
                return None
            return split, label, "/".join(path.parts[end:])
    classes = set(labels) - {None}
    if len(classes) == 1 and not any(splits):
        (label,) = classes
        return UNSPLIT, str(label), "/".join(path.parts[labels.index(label) + 1 :])
    return None


def is_litter(path: PurePosixPath) -> bool:
    """Return whether it is a file of a system, a medium or a hidden folder, and not a film."""
    name = path.name.lower()
    return (
        name in LITTER
        or name.endswith(DOWNLOAD_MARK)
        or any(part.lower() == LITTER_FOLDER or part.startswith(".") for part in path.parts)
    )


def find_places(
    files: Iterable[tuple[PurePosixPath, File]],
    class_names: Mapping[str, str],
    ignore: Collection[str],
    notes: Notes,
) -> tuple[Placed[File], Unplaced[File]]:
    """Return the files that have a place, each with it, and the files that have none.

    Beside films in splits, a film in a class alone has no place.

    Args:
        files: each file with its path below the source's root.
        ignore: folders, in any case, whose files are left out on purpose, where they are in no
            split and class. They are counted in `notes`.
    """
    left_out = set(map(canonical, ignore))
    placed: Placed[File] = []
    others: Unplaced[File] = []
    for path, file in files:
        place = parse_place(path, class_names)
        folders = {*path.parent.parts, path.parent.as_posix()}
        ignored = not left_out.isdisjoint(map(canonical, folders))
        if place and (place[0] != UNSPLIT or not ignored):
            placed.append((place, path, file))
        elif not is_litter(path):
            if ignored:
                notes.count(IGNORED)
            else:
                others.append((path, file))
    if {place[0] for place, _, _ in placed} > {UNSPLIT}:
        others += [(path, file) for place, path, file in placed if place[0] == UNSPLIT]
        placed = [entry for entry in placed if entry[0][0] != UNSPLIT]
    return placed, others


def require_placed(
    placed: Placed[File], others: Unplaced[File], described_as: str, notes: Notes
) -> None:
    """Check that every image has a place; other files without one are counted in `notes`.

    Raises:
        SourceError: nothing has a place, or some images have none; it names their folders and
            counts, and says what to do.
    """
    images = [path.parent for path, _ in others if path.suffix.lower() in IMAGE_SUFFIXES]
    advice = "" if placed else _advice([path for path, _ in others])
    if not placed and not images:
        raise SourceError(
            f"No images in {described_as}: expected files in NORMAL/ and PNEUMONIA/, or in "
            f"{{train,val,test}}/{{NORMAL,PNEUMONIA}}/, at any depth.{advice}"
        )
    if not images:
        notes.count(NO_IMAGES, len(others))
        return
    left = Counter(folder.as_posix() for folder in images)
    named = [f"{count} in {folder}/" for folder, count in left.most_common(MAX_NAMED)]
    more = f" and {len(left) - MAX_NAMED} more folders" if len(left) > MAX_NAMED else ""
    where, layout = "no class or in both", "NORMAL/ or PNEUMONIA/"
    on_the_way = {part for folder in images for part in folder.parts}
    if any(place[0] != UNSPLIT for place, _, _ in placed) or any(map(split_name, on_the_way)):
        where, layout = "no split and class or in two", "{train,val,test}/{NORMAL,PNEUMONIA}/"
    raise SourceError(
        f"{described_as} has {len(images)} images that are in {where} "
        f"({', '.join(named)}{more}): move them to {layout}, name their class in ingest.labels, or "
        f"list the folders to leave out in ingest.ignore.{advice}"
    )


def _advice(files: Sequence[PurePosixPath]) -> str:
    """Return a sentence on an archive or a table among files without a place, or nothing."""
    for path in files:
        if path.suffix.lower() in ARCHIVE_SUFFIXES:
            return f" It holds an archive, {path}: unpack it first."
        if path.suffix.lower() in TABLE_SUFFIXES:
            return (
                f" It holds a table, {path}: if that gives the labels, write a description of "
                "kind: table (docs/data.md; sources/ has those of public sets), and unpack a zip."
            )
    return ""


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
    """Return the split, of an empty text `labels.UNSPLIT`.

    Raises:
        SourceError: it is not the name of a split; the message begins with `where`.
    """
    if not text.strip():
        return UNSPLIT
    if split := split_name(text):
        return split
    raise SourceError(
        f"{where}: split {text!r}, expected train, val or test, another name of these such as "
        "Training, validation, dev or TEST, or nothing where pneumo is to make the splits."
    )


def settle_places(
    files_by_depth: Iterable[tuple[int, SourceFile]], described_as: str
) -> list[SourceFile]:
    """Return one file for each place, in the order of the places.

    Raises:
        SourceError: two different files have the same place.
    """
    settled: dict[str, SourceFile] = {}
    for _, file in sorted(files_by_depth, key=lambda entry: (entry[0], entry[1].place)):
        first = settled.setdefault(file.place, file)
        if first is not file and not _same_bytes(first, file):
            raise SourceError(
                f"{described_as} holds two different files for {file.place}: "
                "rename or remove one of them, or give their folders as a source of kind: several."
            )
    return [settled[place] for place in sorted(settled)]


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
