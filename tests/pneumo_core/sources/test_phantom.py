import hashlib
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pneumo_core.arrays import Gray
from pneumo_core.data.images import Film, decode, resize
from pneumo_core.errors import ImageError, SourceError
from pneumo_core.preparation.fingerprint import perceptual_hashes, pixel_sha256, thumbnail
from pneumo_core.sources.patients import kermany
from pneumo_core.sources.phantom import PhantomSource, PhantomTruth
from pneumo_core.sources.source import SourceFile

DESCRIPTION = Path(__file__).parents[3] / "sources" / "phantom.yaml"
SMALL = """
kind: phantom
seed: 7
train: {NORMAL: 5, PNEUMONIA: 5, exact_duplicates: 1, near_duplicates: 1, truncated_files: 1}
val: {NORMAL: 1, PNEUMONIA: 1}
test: {NORMAL: 2, PNEUMONIA: 2}
"""


@pytest.fixture(scope="module")
def source() -> PhantomSource:
    return PhantomSource.from_description(DESCRIPTION)


@pytest.fixture(scope="module")
def truth(source: PhantomSource) -> PhantomTruth:
    return source.truth()


@pytest.fixture(scope="module")
def files(source: PhantomSource) -> dict[str, SourceFile]:
    return {file.place: file for file in source.files()}


@pytest.fixture(scope="module")
def films(files: dict[str, SourceFile], truth: PhantomTruth) -> dict[str, Gray]:
    return {
        image_id: _decode(file).pixels
        for image_id, file in files.items()
        if image_id not in truth.broken
    }


def _decode(file: SourceFile) -> Film:
    return decode(file.read(), max_pixels=100_000, min_side_px=100)


def _small(tmp_path: Path, text: str = SMALL) -> PhantomSource:
    path = tmp_path / "phantom.yaml"
    path.write_text(text)
    return PhantomSource.from_description(path)


def _digest(source: PhantomSource) -> str:
    return hashlib.sha256(b"".join(file.read() for file in source.files())).hexdigest()


def test_files_are_as_many_as_described_and_in_order(
    files: dict[str, SourceFile], truth: PhantomTruth
) -> None:
    assert list(files) == sorted(files)
    assert Counter(f"{file.split}/{file.label}" for file in files.values()) == truth.num_files
    planted = [
        *truth.exact_duplicates,
        *truth.resaved_duplicates,
        *truth.near_duplicates,
        *truth.broken,
    ]
    assert sum(truth.num_files.values()) - len(planted) == 130 + 260 + 8 + 8 + 40 + 60
    assert all(file.num_bytes == len(file.read()) for file in files.values())


def test_broken_files_are_quarantined_for_the_reason_told(
    files: dict[str, SourceFile], truth: PhantomTruth
) -> None:
    assert Counter(truth.broken.values()) == {"truncated": 2, "not an image": 1}
    for image_id, reason in truth.broken.items():
        with pytest.raises(ImageError, match=reason):
            _decode(files[image_id])


def test_exact_duplicates_are_those_told(files: dict[str, SourceFile], truth: PhantomTruth) -> None:
    splits = Counter(original.split("/")[0] for original, _ in truth.exact_duplicates)
    assert splits == {"train": 6, "test": 2}
    assert _equal_pairs(files, lambda file: file.read()) == set(truth.exact_duplicates)


def test_resaved_duplicates_are_equal_in_pixels_only(
    films: dict[str, Gray], truth: PhantomTruth
) -> None:
    assert len(truth.resaved_duplicates) == 2
    same_pixels = {*truth.exact_duplicates, *truth.resaved_duplicates}
    assert _equal_pairs(films, pixel_sha256) == same_pixels


def _equal_pairs(items: Mapping[str, Any], key: Callable[[Any], Hashable]) -> set[tuple[str, str]]:
    alike = defaultdict(list)
    for image_id, item in items.items():
        alike[key(item)].append(image_id)
    return {pair for ids in alike.values() for pair in combinations(ids, 2)}


def test_only_planted_copies_look_alike(films: dict[str, Gray], truth: PhantomTruth) -> None:
    ids = list(films)
    thumbnails = np.stack([thumbnail(pixels) for pixels in films.values()])
    bits = np.unpackbits(perceptual_hashes(thumbnails), axis=1).astype(np.int64)
    distance = bits @ (1 - bits.T) + (1 - bits) @ bits.T
    similarity = np.corrcoef([resize(pixels, 32).ravel() for pixels in films.values()])
    planted = {*truth.exact_duplicates, *truth.resaved_duplicates, *truth.near_duplicates}

    found = zip(*np.nonzero(np.triu((distance <= 10) & (similarity >= 0.995), 1)), strict=True)
    assert {(ids[i], ids[j]) for i, j in found} == planted
    in_pair = np.array(
        [[(i, j) in planted or (j, i) in planted or i == j for j in ids] for i in ids]
    )
    assert distance[~in_pair].min() > 20  # a wide gap: another seed or rule finds the same


def test_no_confirmed_patient_is_in_two_splits(films: dict[str, Gray]) -> None:
    splits_by_key, splits_by_group = defaultdict(set), defaultdict(set)
    train_subtypes = defaultdict(set)
    for image_id in films:
        split, label, name = image_id.split("/")
        patient = kermany(name)
        assert patient is not None
        assert (patient.subtype is None) == (label == "NORMAL")
        assert patient.rule == "kermany"
        assert (patient.subtype is None) == (label == "NORMAL")
        splits_by_key[patient.key].add(split)
        splits_by_group[patient.group].add(split)
        if split == "train":
            train_subtypes[patient.group].add(patient.subtype)
    assert all(len(splits) == 1 for splits in splits_by_key.values())
    assert any({"train", "test"} <= splits for splits in splits_by_group.values())
    assert any(len(subtypes) == 2 for subtypes in train_subtypes.values())


def test_patients_have_few_films(films: dict[str, Gray], truth: PhantomTruth) -> None:
    copies = {
        copy
        for pairs in (truth.exact_duplicates, truth.resaved_duplicates, truth.near_duplicates)
        for _, copy in pairs
    }
    per_patient = Counter(kermany(i).key for i in films if i not in copies)
    sizes = Counter(per_patient.values())
    assert max(sizes) <= 6
    assert sizes[1] > sum(sizes.values()) / 2


@pytest.mark.parametrize(
    ("measure", "low", "high"),
    [
        (lambda pixels: pixels.shape[1], 0.40, 0.60),
        (lambda pixels: pixels.shape[0], 0.40, 0.60),
        (lambda pixels: pixels.shape[1] / pixels.shape[0], 0.40, 0.60),
        (np.mean, 0.35, 0.65),
        (np.std, 0.35, 0.65),
    ],
    ids=["width", "height", "aspect", "mean", "std"],
)
def test_no_shortcut_separates_the_classes(
    films: dict[str, Gray], measure: Callable[[Gray], float], low: float, high: float
) -> None:
    positive = np.array([measure(p) for i, p in films.items() if "/PNEUMONIA/" in i])
    healthy = np.array([measure(p) for i, p in films.items() if "/NORMAL/" in i])
    higher, equal = positive[:, None] > healthy, positive[:, None] == healthy
    assert low < np.mean(higher + 0.5 * equal) < high  # the AUROC


def test_another_process_draws_the_same_bytes(tmp_path: Path) -> None:
    code = (
        "import hashlib, pathlib, sys; from pneumo_core.sources.phantom import PhantomSource as S;"
        "files = S.from_description(pathlib.Path(sys.argv[1])).files();"
        "print(hashlib.sha256(b''.join(file.read() for file in files)).hexdigest())"
    )
    digest = _digest(_small(tmp_path))
    command = [sys.executable, "-c", code, str(tmp_path / "phantom.yaml")]
    root = DESCRIPTION.parents[1]
    again = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    assert again.stdout.strip() == digest


def test_seed_changes_the_films(tmp_path: Path) -> None:
    assert _digest(_small(tmp_path)) != _digest(_small(tmp_path, SMALL.replace("7", "8")))


def test_planting_leaves_the_distinct_films_as_they_are(tmp_path: Path) -> None:
    clean = SMALL.replace(", exact_duplicates: 1, near_duplicates: 1, truncated_files: 1", "")
    planted = {file.place: file.read() for file in _small(tmp_path).files()}
    distinct = {file.place: file.read() for file in _small(tmp_path, clean).files()}
    assert len(planted) == len(distinct) + 3
    assert distinct.items() <= planted.items()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("seed: 7", "seed: seven", "seed"),
        ("NORMAL: 5", "NORMAL: -5", "train.NORMAL"),
        ("NORMAL: 5", "HEALTHY: 5", "train.HEALTHY"),
        ("near_duplicates: 1", "near_duplicates: 99", "101 planted files"),
        ("kind: phantom", "kind: real", "kind"),
        ("seed: 7", "seed: [", "not YAML"),
        (SMALL, "", "the whole"),
    ],
)
def test_bad_description_names_file_and_key(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    with pytest.raises(SourceError, match=message) as raised:
        _small(tmp_path, SMALL.replace(old, new))
    assert "phantom.yaml" in str(raised.value)
