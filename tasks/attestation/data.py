"""Claims on the films: their bytes, their pixels, their splits, the augmented ones."""

import hashlib
import io
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from pneumo_core.arrays import Images
from pneumo_core.atomic import file_sha256, read_json
from pneumo_core.data import manifest
from pneumo_core.data.images import decode
from pneumo_core.data.packed import INDEX, PackedImages
from pneumo_core.errors import NotCheckedError, SaltError
from pneumo_core.preparation import pins
from pneumo_core.preparation.augmentation import make_film, plan, planned_films
from pneumo_core.preparation.certificate import certify
from pneumo_core.preparation.duplicates import Duplicates
from pneumo_core.preparation.fingerprint import pixel_sha256
from pneumo_core.preparation.pins import Pins
from pneumo_core.salt import read_or_make
from tasks import paths
from tasks.attestation.claims import WHERE, Outcome, altered, count, differs, off_by, require, same
from tasks.attestation.subject import Subject
from tasks.graph import provenance
from tasks.registry import evidence, statement
from tasks.split import deal

NUM_FILMS, NUM_SHARDS = 32, 2
GRAY_LEVELS = 8  # by which a pixel may be off where another library drew it (ADR 43)


def films(subject: Subject) -> Outcome:
    """The manifest is the one that the model was trained on, and drawn files are those it names."""
    stated = subject.sha256_of(statement.FILMS)
    if stated != subject.description.origin.data_sha256:
        return differs("the statement and the bundle name different films")
    if altered(paths.SPLIT, stated):
        return differs(f"{paths.SPLIT} is not the one that the model was trained on")
    drawn = _drawn(subject)
    other = sum(file_sha256(paths.RAW / row.path) != row.sha256 for row in drawn.itertuples())
    if other:
        return differs(f"{count(other, 'file')} of {len(drawn)} drawn are not as ingested")
    return same(f"{len(drawn)} of {len(manifest.kept(subject.table))} files drawn")


def pixels(subject: Subject) -> Outcome:
    """Drawn films, decoded and resized again, are what was packed."""
    limits = subject.params.validation
    require(paths.IMAGES / INDEX)
    packed, drawn = PackedImages.open(paths.IMAGES), _drawn(subject)
    worst = other = 0
    for row in drawn.itertuples():
        size_px = limits.image_size_px
        film = decode(evidence.read_film(row.path), limits.max_pixels, limits.min_side_px, size_px)
        other += pixel_sha256(film.pixels) != row.pixel_sha256
        worst = max(worst, _difference(film.squared(size_px), packed[int(row.packed_row)]))
    if other and not subject.other_versions:
        return differs(f"{count(other, 'film')} of {len(drawn)} drawn have other pixels")
    return off_by(worst, f"{len(drawn)} films decoded again, gray levels", GRAY_LEVELS)


def split(subject: Subject) -> Outcome:
    """All films are dealt again from what stood before the split."""
    require(paths.DEDUPLICATED, paths.NAMES)
    stated = subject.table.set_index("image_id")
    moved = pd.Series(dtype=bool)
    for found in _pins(subject):
        dealt = deal(subject.params.split, found).table.set_index("image_id")
        if set(dealt.index) != set(stated.index):
            return differs(f"{paths.SPLIT} names other films than were there to be dealt")
        of_film = stated.loc[dealt.index]
        moved = (dealt["split"] != of_film["split"]) | (dealt["state"] != of_film["state"])
        if not moved.any():
            return same(f"{len(dealt)} films dealt again")
    return differs(f"{count(int(moved.sum()), 'film')} of {len(moved)} would be in another split")


def certificate(subject: Subject) -> Outcome:
    """The certificate is the stated one, and is issued again for these splits."""
    if altered(paths.CERTIFICATE, subject.sha256_of(paths.CERTIFICATE.as_posix())):
        return differs(f"{paths.CERTIFICATE} is not the one that the statement names")
    require(paths.DUPLICATES)
    params, stated = subject.params.split, read_json(paths.CERTIFICATE)
    again = certify(
        subject.table,
        Duplicates(**read_json(paths.DUPLICATES)),
        params.pinned_test_hash,
        params.accept_unknown_patients,
        stated["split_origin"],
    )
    other = [name for name in stated if stated[name] != again.get(name)]
    if other:
        return differs(f"issued again it says something else of {', '.join(other)}")
    return same(f"issued again, {stated['state']}")


def training_films(subject: Subject) -> Outcome:
    """Drawn shards of the augmented films are made again, byte by byte."""
    stated = subject.sha256_of(statement.TRAINING_FILMS)
    if stated != subject.description.origin.train_sha256:
        return differs("the statement and the bundle name different training films")
    if altered(paths.TRAIN_IMAGES / INDEX, stated):
        return differs(f"{paths.TRAIN_IMAGES} is not what the model was trained on")
    require(paths.IMAGES / INDEX, paths.TRAIN_FILMS)
    params = subject.params.augment
    planned = planned_films(plan(subject.table, params))
    if planned != planned_films(pd.read_parquet(paths.TRAIN_FILMS)):
        return differs("another choice of films to augment follows from the split")
    originals, packed = PackedImages.open(paths.IMAGES), PackedImages.open(paths.TRAIN_IMAGES)
    ends = np.cumsum([num_rows for _, num_rows, _ in packed.shards])
    drawn, worst = subject.draw(NUM_SHARDS, packed.shards), 0
    for place in drawn:
        name, num_rows, sha256 = packed.shards[place]
        path = paths.TRAIN_IMAGES / name
        if altered(path, sha256):
            return differs(f"{path} is not the shard that was written")
        rows = planned[ends[place] - num_rows : ends[place]]
        again = np.stack([make_film(originals, film, params) for film in rows])
        if _sha256_of_shard(again) != sha256:
            worst = max(worst, _difference(again, np.load(path)), 1)
    tolerance = GRAY_LEVELS if subject.other_versions else 0
    what = f"{len(drawn)} of {len(packed.shards)} shards drawn again, gray levels"
    return off_by(worst, what, tolerance)


def _drawn(subject: Subject) -> pd.DataFrame:
    """Return rows of the manifest whose files are here; no message names a file, as it may name a
    patient."""
    kept = manifest.kept(subject.table)
    drawn = kept.iloc[subject.draw(NUM_FILMS, kept)]
    missing = sum(not (paths.RAW / path).is_file() for path in drawn["path"])
    if missing:
        raise NotCheckedError(f"{count(missing, 'file')} of {len(drawn)} drawn not here: {WHERE}")
    return drawn


def _pins(subject: Subject) -> list[Pins]:
    """Return the pins of the commit, with which the run began, and those here, which it left."""
    found = []
    try:
        content = provenance.file_at(subject.commit, paths.PINNED_PATIENTS)
        with tempfile.TemporaryDirectory() as scratch:
            before = Path(scratch) / paths.PINNED_PATIENTS.name
            if content is not None:
                before.write_bytes(content)
            found.append(_read_pins(before))
    except NotCheckedError:
        pass  # made outside a repository
    return [*found, _read_pins(paths.PINNED_PATIENTS)]


def _read_pins(path: Path) -> Pins:
    try:
        return pins.read(path, read_or_make(paths.SALT))
    except SaltError as error:
        raise NotCheckedError(str(error)) from error


def _difference(a: Images, b: Images) -> int:
    """Return the largest difference of two pixels, in gray levels."""
    return int(np.abs(a.astype(np.int16) - b.astype(np.int16)).max())


def _sha256_of_shard(images: Images) -> str:
    shard = io.BytesIO()
    np.save(shard, images)
    return hashlib.sha256(shard.getbuffer()).hexdigest()
