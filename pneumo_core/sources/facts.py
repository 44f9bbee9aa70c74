"""Facts about the public data sets: counts, licence, citation, addresses, checksums.

Code reads these rows and never repeats them.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pneumo_core.sources.source import SourceFile


@dataclass(frozen=True)
class RemoteFile:
    url: str
    md5: str


@dataclass(frozen=True, eq=False)
class DataSet:
    name: str
    what: str
    labelled_by: str
    patients: str  # what is known about them
    num_films: Mapping[str, int]  # as published: by "split", or by "split/label" if that is known
    licence: str
    citation: str
    page: str  # for a person to open
    handle: str  # what its hub calls it
    version: str  # the one that the counts are of
    files: Mapping[int, RemoteFile] = field(default_factory=dict)  # by the side in pixels


_GUANGZHOU = (
    "Chest films, anterior-posterior, of children of one to five years from routine care at "
    "Guangzhou Women and Children's Medical Center; JPEGs of many sizes."
)
_EXPERTS = "Two expert physicians; a third one checked the evaluation set."
_BY_NAME = "By the file names: person and pathogen, or number of the series."
_KERMANY = (
    "Kermany, Zhang, Goldbaum (2018): Labeled Optical Coherence Tomography (OCT) and Chest X-Ray "
    "Images for Classification. Mendeley Data, doi:10.17632/rscbjbr9sj"
)
_KERMANY_FILMS = {
    "train/NORMAL": 1341,
    "train/PNEUMONIA": 3875,
    "val/NORMAL": 8,
    "val/PNEUMONIA": 8,
    "test/NORMAL": 234,
    "test/PNEUMONIA": 390,
}

# Kaggle publishes no checksum that one can compare before its own client unpacks the archive.
KERMANY_KAGGLE = DataSet(
    name="Chest X-Ray Images (Pneumonia), Kaggle",
    what=_GUANGZHOU,
    labelled_by=_EXPERTS,
    patients=_BY_NAME,
    num_films=_KERMANY_FILMS,
    licence="CC BY 4.0",
    citation=_KERMANY,
    page="https://www.kaggle.com/datasets/paultimothymooney/chest-xray-pneumonia",
    handle="paultimothymooney/chest-xray-pneumonia",
    version="2",
)

# Counts by split from its card; a commit pins it, and the hub's client checks each file's SHA-256.
KERMANY_HUGGING_FACE = DataSet(
    name="chest-xray-pneumonia, Hugging Face",
    what=_GUANGZHOU,
    labelled_by=_EXPERTS,
    patients=_BY_NAME,
    num_films={"train": 5216, "val": 16, "test": 624},
    licence="CC BY 4.0",
    citation=_KERMANY,
    page="https://huggingface.co/datasets/hf-vision/chest-xray-pneumonia",
    handle="hf-vision/chest-xray-pneumonia",
    version="main",
)

# Addresses, MD5s and counts from `medmnist/info.py` of the package medmnist 3.0.2.
_ZENODO = "https://zenodo.org/records/10519652/files"
PNEUMONIAMNIST = DataSet(
    name="PneumoniaMNIST",
    what=(
        "The films of Kermany et al., cropped to the centre and made small squares, 8-bit gray; "
        "the source's training set in new parts 9 : 1 as train and val, its evaluation set as test."
    ),
    labelled_by=_EXPERTS,
    patients="Nothing: rows without names, so films of one patient may be in train and in val.",
    num_films={"train": 4708, "val": 524, "test": 624},
    licence="CC BY 4.0",
    citation=(
        "Yang et al. (2023): MedMNIST v2 - A large-scale lightweight benchmark for 2D and 3D "
        "biomedical image classification. Scientific Data 10, 41, doi:10.1038/s41597-022-01721-8"
    ),
    page="https://zenodo.org/records/10519652",
    handle="pneumoniamnist",
    version="Zenodo record 10519652",
    files={
        28: RemoteFile(
            f"{_ZENODO}/pneumoniamnist.npz?download=1", "28209eda62fecd6e6a2d98b1501bb15f"
        ),
        64: RemoteFile(
            f"{_ZENODO}/pneumoniamnist_64.npz?download=1", "8f4eceb4ccffa70c672198ea285246c6"
        ),
        128: RemoteFile(
            f"{_ZENODO}/pneumoniamnist_128.npz?download=1", "05b46931834c231683c68f40c47b2971"
        ),
        224: RemoteFile(
            f"{_ZENODO}/pneumoniamnist_224.npz?download=1", "d6a3c71de1b945ea11211b03746c1fe1"
        ),
    },
)


def remarks(files: Iterable["SourceFile"]) -> list[str]:
    """Return the terms of each public data set among the files, and each count that differs."""
    found: dict[DataSet, Counter[str]] = {}
    for file in files:
        if file.data_set is not None:
            counts = found.setdefault(file.data_set, Counter())
            counts.update([file.split, f"{file.split}/{file.label}"])
    lines = []
    for each, counts in found.items():
        lines.append(f"{each.name}: {each.licence}; cite {each.citation}.")
        lines += [
            f"{each.name}: {counts[place]} films in {place}, {published} were published: "
            "another version, or not all of it came."
            for place, published in each.num_films.items()
            if counts[place] != published
        ]
    return lines
