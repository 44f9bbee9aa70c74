"""Facts about the public data sets: counts, licence, citation, addresses, checksums.

Code reads these rows and never repeats them.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pneumo_core.labels import UNSPLIT

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
    num_listed: Mapping[str, int] = field(default_factory=dict)  # films in its tables, by split


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


# Sets that descriptions in sources/ read, by the name in `data_set:`. What is counted is the table
# that a description reads, before anything is left out; the comment says where the count stands.
LISTED: Mapping[str, DataSet] = {
    "nih": DataSet(
        name="NIH ChestX-ray14",
        what="Frontal chest films of the NIH Clinical Center, most of them of adults; PNGs.",
        labelled_by="Software, from the reports.",
        patients="By the file names.",
        num_films={},
        num_listed={UNSPLIT: 112_120},  # the set's README
        licence="use not restricted",
        citation=(
            "Wang et al. (2017): ChestX-ray8: Hospital-scale Chest X-ray Database and Benchmarks. "
            "CVPR, doi:10.1109/CVPR.2017.369"
        ),
        page="https://nihcc.app.box.com/v/ChestXray-NIHCC",
        handle="Data_Entry_2017.csv",
        version="2017",
    ),
    "chexpert": DataSet(
        name="CheXpert",
        what="Frontal and lateral chest films of adults, Stanford; JPEGs.",
        labelled_by="Software, from the reports.",
        patients="By the paths.",
        num_films={},
        num_listed={UNSPLIT: 223_414},  # lines of train.csv
        licence="Stanford's research use agreement",
        citation=(
            "Irvin et al. (2019): CheXpert: A Large Chest Radiograph Dataset with Uncertainty "
            "Labels and Expert Comparison. AAAI 33, doi:10.1609/aaai.v33i01.3301590"
        ),
        page="https://stanfordmlgroup.github.io/competitions/chexpert/",
        handle="train.csv",
        version="1.0",
    ),
    "mimic": DataSet(
        name="MIMIC-CXR-JPG",
        what="Chest films of adults in an emergency department, Boston; JPEGs.",
        labelled_by="Software, from the reports.",
        patients="By the column subject_id.",
        num_films={},
        num_listed={UNSPLIT: 377_110},  # PhysioNet's page
        licence="PhysioNet Credentialed Health Data License",
        citation=(
            "Johnson et al. (2019): MIMIC-CXR, a de-identified publicly available database of "
            "chest radiographs. Scientific Data 6, 317, doi:10.1038/s41597-019-0322-0"
        ),
        page="https://physionet.org/content/mimic-cxr-jpg/2.0.0/",
        handle="mimic-cxr-2.0.0-metadata.csv",
        version="2.0.0",
    ),
    "rsna": DataSet(
        name="RSNA Pneumonia Detection Challenge 2018",
        what="Frontal chest films of NIH ChestX-ray14 in another numbering; DICOM.",
        labelled_by="Radiologists, who marked opacities.",
        patients="Nothing: a number names an examination.",
        num_films={},
        num_listed={UNSPLIT: 26_684},  # patientId in stage_2_train_labels.csv
        licence="rules of the challenge",
        citation=(
            "Shih et al. (2019): Augmenting the National Institutes of Health Chest Radiograph "
            "Dataset with Expert Annotations. Radiology: Artificial Intelligence 1(1), "
            "doi:10.1148/ryai.2019180041"
        ),
        page="https://www.kaggle.com/c/rsna-pneumonia-detection-challenge",
        handle="stage_2_train_labels.csv",
        version="stage 2",
    ),
    "vindr_pcxr": DataSet(
        name="VinDr-PCXR",
        what="Chest films of children younger than ten years, Hanoi; DICOM.",
        labelled_by="Radiologists.",
        patients="Nothing.",
        num_films={},
        num_listed={"train": 7_728, "test": 1_397},  # PhysioNet's page
        licence="PhysioNet Credentialed Health Data License",
        citation=(
            "Pham et al. (2023): PediCXR. Scientific Data 10, 240, doi:10.1038/s41597-023-02102-5"
        ),
        page="https://physionet.org/content/vindr-pcxr/1.0.0/",
        handle="image_labels_train.csv",
        version="1.0.0",
    ),
    "padchest": DataSet(
        name="PadChest",
        what="Chest films in several views, Alicante; 16-bit PNGs.",
        labelled_by="Physicians for a quarter of the reports, software for the others.",
        patients="By the column PatientID.",
        num_films={},
        num_listed={UNSPLIT: 160_868},  # the paper
        licence="research use, by request to BIMCV",
        citation=(
            "Bustos et al. (2020): PadChest: A large chest x-ray image dataset with multi-label "
            "annotated reports. Medical Image Analysis 66, 101797, doi:10.1016/j.media.2020.101797"
        ),
        page="https://bimcv.cipf.es/bimcv-projects/padchest/",
        handle="PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv",
        version="01.02.19",
    ),
    "covidx": DataSet(
        name="COVIDx 9A",
        what="Chest films of several public collections.",
        labelled_by="The collections, each in its way.",
        patients="By the first column.",
        num_films={},
        num_listed={"train": 30_130, "test": 400},  # lines of the two files in its repository
        licence="that of each collection",
        citation=(
            "Wang, Lin, Wong (2020): COVID-Net. Scientific Reports 10, 19549, "
            "doi:10.1038/s41598-020-76550-z"
        ),
        page="https://github.com/lindawangg/COVID-Net",
        handle="train_COVIDx9A.txt",
        version="9A",
    ),
    "coronahack": DataSet(
        name="CoronaHack",
        what="The films of Kermany et al., and some of adults with COVID-19; JPEGs.",
        labelled_by=_EXPERTS,
        patients=_BY_NAME,
        num_films={},
        num_listed={UNSPLIT: 5_910},  # lines of its table, in public notebooks on it
        licence="CC BY 4.0 for most of it",
        citation=_KERMANY,
        page="https://www.kaggle.com/datasets/praveengovi/coronahack-chest-xraydataset",
        handle="Chest_xray_Corona_Metadata.csv",
        version="1",
    ),
}


def other_number(data_set: str, split: str, num_listed: int) -> str | None:
    """Return a sentence of `Notes` if a table lists another number of films than was published."""
    each = LISTED[data_set]
    published = each.num_listed.get(split)
    if published in (None, num_listed):
        return None
    where = "" if split == UNSPLIT else f" for {split}"
    return (
        f"{each.name}: the table lists {{}} films{where}, {published:,} were published: another "
        "version, or not all of it came"
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
