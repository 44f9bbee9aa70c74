"""The descriptions of public sets, each on a few rows in the set's original form."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom import config

from pneumo_core.errors import SourceError
from pneumo_core.params import IngestParams
from pneumo_core.sources import facts
from pneumo_core.sources.opening import OpenedSource, open_source

ROOT = Path(__file__).parents[3]

WriteDicom = Callable[..., Path]
Put = Callable[..., OpenedSource]


@pytest.fixture(autouse=True)
def _salt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PNEUMO_DICOM_SALT", "a secret of the hospital")


@pytest.fixture
def put(tmp_path: Path) -> Put:
    """Puts tables and images beside a copy of the description, which it opens."""

    def opened(name: str, tables: dict[str, str], images: list[str]) -> OpenedSource:
        (tmp_path / "sources").mkdir(exist_ok=True)
        description = shutil.copy(ROOT / "sources" / f"{name}.yaml", tmp_path / "sources")
        for path in [*tables, *images]:
            (tmp_path / "data" / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "data" / path).write_text(tables.get(path, path))
        return open_source(IngestParams(source=str(description)))

    return opened


@pytest.fixture
def put_dicom(tmp_path: Path, write_dicom: WriteDicom) -> Callable[..., None]:
    def write(folder: str, *names: str, **header: str) -> None:
        for name in names:
            header["SOPInstanceUID"] = f"1.2.{sum(name.encode())}"
            path = tmp_path / "data" / folder / name
            with config.disable_value_validation():  # RSNA has ages such as 51
                write_dicom(path, np.zeros((4, 4), np.uint8), **header)

    return write


def _known(source: OpenedSource) -> dict[str, tuple[str, str | None, dict[str, str]]]:
    """Return patient, subtype and metadata of each film."""
    return {
        file.place: (
            file.patient.rule if file.patient else "",
            file.patient.subtype if file.patient else None,
            dict(file.metadata),
        )
        for file in source.files()
    }


def _but_the_number(source: OpenedSource) -> list[str]:
    """Return what was left out, without the sentence on the number of films that came."""
    sentences = source.notes.sentences()
    others = [sentence for sentence in sentences if " were published: " not in sentence]
    assert len(others) < len(sentences)
    return others


def test_nih(put: Put) -> None:
    head = (
        "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,"
        "View Position,OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],\n"
    )
    rows = (
        "00000001_000.png,Cardiomegaly,0,1,058Y,M,PA,2682,2749,0.143,0.143,\n"
        "00000061_012.png,Edema|Pneumonia,12,61,77,M,AP,3056,2544,0.139,0.139,\n"
        "00000005_000.png,No Finding,0,5,414,F,PA,2048,2500,0.168,0.168,\n"
        "00000007_000.png,Pneumothorax,0,7,60,F,PA,2048,2500,0.168,0.168,\n"
    )
    names = [line.split(",")[0] for line in rows.splitlines()]
    images = [f"nih/images_00{number}/images/{name}" for number, name in enumerate(names, 1)]
    source = put("nih", {"nih/Data_Entry_2017.csv": head + rows}, [*images, "nih/x/more.png"])
    assert _known(source) == {
        "all/NORMAL/00000005_000.png": ("nih", None, {"sex": "F", "view": "PA"}),
        "all/PNEUMONIA/00000061_012.png": ("nih", None, {"age": "77", "sex": "M", "view": "AP"}),
    }
    assert _but_the_number(source) == [
        "left out: 2 films that are in neither class",
        "left out: 1 images that the table does not list",
        "not known: age of 1 films (not a possible age)",
    ]
    assert source.files()[0].read() == b"nih/images_003/images/00000005_000.png"


def test_nih_as_it_is(tmp_path: Path) -> None:
    archive = ROOT.parent / "shared/data/nih_cxr8_224.zip"
    if not archive.is_file():
        pytest.skip("needs the NIH films")
    shutil.unpack_archive(archive, tmp_path / "data")
    (tmp_path / "sources").mkdir()
    description = shutil.copy(ROOT / "sources/nih.yaml", tmp_path / "sources")
    files = open_source(IngestParams(source=str(description))).files()
    assert len(files) == 449
    assert sum(file.label == "PNEUMONIA" for file in files) == 185
    assert len({file.patient.key for file in files if file.patient}) == 305
    assert {file.metadata["sex"] for file in files} == {"F", "M"}
    assert {file.metadata["view"] for file in files} == {"AP", "PA"}
    assert all(0 < float(file.metadata["age"]) < 100 for file in files)


def test_chexpert(put: Put) -> None:
    head = (
        "Path,Sex,Age,Frontal/Lateral,AP/PA,No Finding,Enlarged Cardiomediastinum,Cardiomegaly,"
        "Lung Opacity,Lung Lesion,Edema,Consolidation,Pneumonia,Atelectasis,Pneumothorax,"
        "Pleural Effusion,Pleural Other,Fracture,Support Devices\n"
    )
    top = "CheXpert-v1.0-small/train"
    paths = [f"{top}/patient0000{n}/study1/view1_frontal.jpg" for n in (1, 2, 3, 4)]
    lateral = f"{top}/patient00002/study1/view2_lateral.jpg"
    rows = (
        f"{paths[0]},Female,68,Frontal,AP,1.0,,,,,,,,,0.0,,,,1.0\n"
        f"{paths[1]},Male,87,Frontal,PA,,,-1.0,1.0,,,-1.0,1.0,-1.0,,-1.0,,1.0,\n"
        f"{lateral},Male,87,Lateral,,,,-1.0,1.0,,,-1.0,1.0,-1.0,,-1.0,,1.0,\n"
        f"{paths[2]},Unknown,0,Frontal,AP,,,,1.0,,,,-1.0,,0.0,,,,\n"
        f"{paths[3]},Female,30,Frontal,AP,,,,1.0,,,,0.0,,0.0,,,,\n"
    )
    folder = "chexpert/CheXpert-v1.0-small"
    images = [f"chexpert/{path}" for path in (*paths, lateral)]
    source = put("chexpert", {f"{folder}/train.csv": head + rows}, images)
    assert _known(source) == {
        f"all/NORMAL/{paths[0]}": ("chexpert", None, {"age": "68", "sex": "F", "view": "AP"}),
        f"all/PNEUMONIA/{paths[1]}": ("chexpert", None, {"age": "87", "sex": "M", "view": "PA"}),
    }
    assert _but_the_number(source) == [
        "left out: 1 films with Frontal/Lateral Lateral",
        "left out: 1 films with Pneumonia -1.0",
        "left out: 1 films that are in neither class",
    ]


def test_mimic(put: Put) -> None:
    films = {"a1": ("10000032", "50414267"), "b2": ("10000032", "53189527")}
    films |= {"c3": ("10000764", "57375967"), "d4": ("10000764", "57375967")}
    metadata = (
        "dicom_id,subject_id,study_id,PerformedProcedureStepDescription,ViewPosition,Rows,Columns,"
        "StudyDate,StudyTime,ProcedureCodeSequence_CodeMeaning,ViewCodeSequence_CodeMeaning,"
        "PatientOrientationCodeSequence_CodeMeaning\n"
    )
    for name, (subject, study) in films.items():
        view = "LATERAL" if name == "d4" else "PA"
        row = f"{name},{subject},{study},CHEST (PA AND LAT),{view},3056,2544,21800506,213014.531,"
        metadata += f'{row}"CHEST, PA",postero-anterior,Erect\n'
    chexpert = (
        "subject_id,study_id,Atelectasis,Cardiomegaly,Consolidation,Edema,No Finding,Pneumonia\n"
        "10000032,50414267,,,,,1.0,\n10000032,53189527,,,,,,-1.0\n10000764,57375967,,,1.0,,,1.0\n"
    )
    split = "dicom_id,study_id,subject_id,split\n" + "".join(
        f"{name},{study},{subject},{'test' if subject == '10000764' else 'train'}\n"
        for name, (subject, study) in films.items()
    )
    source = put(
        "mimic",
        {
            "mimic/mimic-cxr-2.0.0-metadata.csv": metadata,
            "mimic/mimic-cxr-2.0.0-chexpert.csv": chexpert,
            "mimic/mimic-cxr-2.0.0-split.csv": split,
        },
        [f"mimic/files/p10/p{p}/s{s}/{name}.jpg" for name, (p, s) in films.items()],
    )
    assert _known(source) == {
        "test/PNEUMONIA/c3.jpg": ("column", None, {"view": "PA"}),
        "train/NORMAL/a1.jpg": ("column", None, {"view": "PA"}),
    }
    assert _but_the_number(source) == [
        "left out: 1 films with Pneumonia -1.0",
        "left out: 1 films with view LATERAL",
    ]


def test_rsna(put: Put, put_dicom: Callable[..., None]) -> None:
    header = {"PatientAge": "51", "PatientSex": "F", "ViewPosition": "PA"}
    put_dicom("rsna/stage_2_train_images", "a.dcm", "b.dcm", "c.dcm", "d.dcm", **header)
    boxes = (
        "patientId,x,y,width,height,Target\na,,,,,0\n"
        "b,264.0,152.0,213.0,379.0,1\nb,562.0,152.0,256.0,453.0,1\nc,,,,,0\n"
    )
    classes = (
        "patientId,class\na,Normal\nb,Lung Opacity\nb,Lung Opacity\n"
        "c,No Lung Opacity / Not Normal\n"
    )
    tables = {"stage_2_train_labels.csv": boxes, "stage_2_detailed_class_info.csv": classes}
    source = put("rsna", {f"rsna/{name}": text for name, text in tables.items()}, [])
    found = _known(source)
    assert sorted(image_id.rpartition("/")[0] for image_id in found) == [
        "all/NORMAL",
        "all/PNEUMONIA",
    ]
    known = {"age": "51", "sex": "F", "view": "PA"}
    assert list(found.values()) == [("unknown", None, known)] * 2
    assert _but_the_number(source) == [
        "taken as one: the rows of 1 films that have several",
        "left out: 1 films with class No Lung Opacity / Not Normal",
        "left out: 1 DICOM files without a row in the table of labels",
    ]


def test_rsna_whose_boxes_contradict_their_class(put: Put, put_dicom: Callable[..., None]) -> None:
    put_dicom("rsna/stage_2_train_images", "a.dcm")
    tables = {
        "rsna/stage_2_train_labels.csv": "patientId,x,y,width,height,Target\na,,,,,0\n",
        "rsna/stage_2_detailed_class_info.csv": "patientId,class\na,Normal\na,Lung Opacity\n",
    }
    with pytest.raises(SourceError, match="lines 2 and 3 have the same patientId and contradict"):
        put("rsna", tables, []).files()


def test_vindr_pcxr(put: Put, put_dicom: Callable[..., None]) -> None:
    head = "image_id,rad_ID,No finding,Bronchitis,Brocho-pneumonia,Other disease,Pneumonia\n"
    put_dicom("vindr-pcxr/train", *(f"{n}.dicom" for n in "abcd"), PatientAge="002Y", PatientID="")
    put_dicom("vindr-pcxr/test", "e.dicom", "f.dicom", PatientAge="010M", PatientID="")
    train = (
        "a,R1,1.0,0.0,0.0,0.0,0.0\n"
        "b,R1,0.0,0.0,1.0,0.0,0.0\nb,R2,0.0,0.0,0.0,0.0,1.0\nb,R3,1.0,0.0,0.0,0.0,0.0\n"
        "c,R1,1.0,0.0,0.0,0.0,0.0\nc,R2,0.0,0.0,0.0,0.0,1.0\n"
        "d,R1,0.0,1.0,0.0,0.0,0.0\n"
    )
    test = "e,R9,0,0,0,0,1\nf,R9,1,0,0,0,0\n"
    tables = {"train": head + train, "test": head + test}
    source = put(
        "vindr_pcxr",
        {f"vindr-pcxr/image_labels_{name}.csv": text for name, text in tables.items()},
        [],
    )
    found = _known(source)
    assert sorted(image_id.rpartition("/")[0] for image_id in found) == [
        "test/NORMAL/test",
        "test/PNEUMONIA/test",
        "train/NORMAL/train",
        "train/PNEUMONIA/train",
    ]
    assert {rule for rule, _, _ in found.values()} == {"unknown"}
    assert {known["age"] for _, _, known in found.values()} == {"2", "0.83"}
    assert _but_the_number(source) == [
        "taken as one: the rows of 1 films that have several",
        "left out: 1 films whose readers disagree",
        "left out: 1 films that are in neither class",
    ]


def test_padchest(put: Put) -> None:
    head = (
        ",ImageID,ImageDir,StudyDate_DICOM,StudyID,PatientID,PatientBirth,PatientSex_DICOM,"
        "ViewPosition_DICOM,Projection,MethodProjection,Pediatric,Modality_DICOM,"
        "Manufacturer_DICOM,Report,Labels\n"
    )

    def row(number: int, view: str, modality: str, labels: str) -> str:
        start = f"{number},{number}.png,0,20140915,s{number},p{number},1930.0,F,POSTEROANTERIOR"
        return f'{start},{view},Manual review,No,{modality},ImagingDynamics,"sin, ver","{labels}"\n'

    rows = [
        row(1, "PA", "DX", "['pneumonia', 'pleural effusion']"),
        row(2, "AP_horizontal", "CR", "['normal']"),
        row(3, "L", "DX", "['normal']"),
        row(4, "PA", "CT", "['normal']"),
        row(5, "PA", "DX", "['exclude', 'pneumonia']"),
        row(6, "PA", "DX", "['normal', 'scoliosis']"),
        row(7, "PA", "DX", "[' atypical pneumonia']"),
    ]
    table = "padchest/PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv"
    images = [f"padchest/{number % 2}/{number}.png" for number in range(1, 8)]
    source = put("padchest", {table: head + "".join(rows)}, images)
    known = {"sex": "F", "view": "PA", "scanner": "ImagingDynamics"}
    assert _known(source) == {
        "all/NORMAL/2.png": ("column", None, known | {"view": "AP_HORIZONTAL"}),
        "all/PNEUMONIA/1.png": ("column", None, known),
        "all/PNEUMONIA/7.png": ("column", None, known),
    }
    assert _but_the_number(source) == [
        "left out: 1 films with view L",
        "left out: 1 films with Modality_DICOM CT",
        "left out: 1 films with label that contains exclude or suboptimal study",
        "left out: 1 films that are in neither class",
    ]


def test_covidx(put: Put) -> None:
    train = "3 a.jpg COVID-19 cohen\n4 b.jpg pneumonia cohen\n5 c.png normal rsna\n\n"
    test = "4 d.png normal rsna\n6 e.jpg pneumonia rsna\n"
    names = [("train", "a.jpg"), ("train", "b.jpg"), ("train", "c.png")]
    names += [("test", "d.png"), ("test", "e.jpg")]
    source = put(
        "covidx",
        {"covidx/train_COVIDx9A.txt": train, "covidx/test_COVIDx9A.txt": test},
        [f"covidx/{split}/{name}" for split, name in names],
    )
    assert _known(source) == {
        "test/NORMAL/test/d.png": ("column", None, {"site": "rsna"}),
        "test/PNEUMONIA/test/e.jpg": ("column", None, {"site": "rsna"}),
        "train/NORMAL/train/c.png": ("column", None, {"site": "rsna"}),
        "train/PNEUMONIA/train/b.jpg": ("column", None, {"site": "cohen"}),
    }
    groups = {file.patient.group for file in source.files() if file.patient}
    assert groups == {"4", "5", "6"}  # 4 is possibly one patient in train and test
    assert _but_the_number(source)[0] == "left out: 2 films with label COVID-19"


def test_coronahack(put: Put) -> None:
    table = (
        ",X_ray_image_name,Label,Dataset_type,Label_2_Virus_category,Label_1_Virus_category\n"
        "0,IM-0128-0001.jpeg,Normal,TRAIN,,\n1,person1_bacteria_2.jpeg,Pnemonia,TRAIN,,bacteria\n"
        "2,x.jpeg,Pnemonia,TEST,COVID-19,Virus\n3,y.jpeg,Pnemonia,TRAIN,ARDS,Stress-Smoking\n"
    )
    folder = "coronahack/Coronahack-Chest-XRay-Dataset"
    images = [f"{folder}/{folder.split('/')[1]}/train/{name}" for name in ("y.jpeg",)]
    images += [f"{folder}/train/IM-0128-0001.jpeg", f"{folder}/train/person1_bacteria_2.jpeg"]
    images += [f"{folder}/test/x.jpeg"]
    source = put("coronahack", {"coronahack/Chest_xray_Corona_Metadata.csv": table}, images)
    assert _known(source) == {
        "test/PNEUMONIA/x.jpeg": ("unknown", "virus", {}),
        "train/NORMAL/IM-0128-0001.jpeg": ("kermany", None, {}),
        "train/PNEUMONIA/person1_bacteria_2.jpeg": ("kermany", "bacteria", {}),
    }
    assert _but_the_number(source) == [
        "left out: 1 films with Label_1_Virus_category Stress-Smoking"
    ]


@pytest.mark.parametrize("name", facts.LISTED)
def test_each_description_names_its_facts(name: str) -> None:
    data_set, text = facts.LISTED[name], (ROOT / "sources" / f"{name}.yaml").read_text()
    assert f"data_set: {name}\n" in text
    for split, number in data_set.num_listed.items():
        assert facts.other_number(name, split, number) is None
        sentence = facts.other_number(name, split, number - 1)
        assert sentence is not None
        assert f"{number:,} were published" in sentence


def test_a_set_without_facts_is_refused(tmp_path: Path) -> None:
    (tmp_path / "d.yaml").write_text("kind: table\npath: t.csv\ndata_set: moon\n")
    with pytest.raises(SourceError, match="'moon' is none of nih, chexpert"):
        open_source(IngestParams(source=str(tmp_path / "d.yaml")))
