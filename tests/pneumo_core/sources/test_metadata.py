from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pneumo_core.errors import SourceError
from pneumo_core.params import IngestParams
from pneumo_core.sources import collect, metadata
from pneumo_core.sources.opening import OpenedSource, open_source

WriteTree = Callable[[Path, dict[str, bytes]], Path]
WriteDicom = Callable[..., Path]

TABLE = """path,label,AGE,sex,View,site,bmi
a.png,NORMAL,058Y,woman,pa,North  Wing,21
b.png,NORMAL,400,남,AP,<b>,22
c.png,PNEUMONIA,6 months,O,nan,,
"""


@pytest.fixture
def opened(tmp_path: Path, write_tree: WriteTree) -> Callable[..., OpenedSource]:
    def open_it(**more: Any) -> OpenedSource:
        write_tree(
            tmp_path,
            {
                "t.csv": TABLE.encode(),
                "t.yaml": b"kind: table\npath: t.csv\n",
                **{f"{name}.png": name.encode() for name in "abc"},
            },
        )
        return open_source(IngestParams(source=str(tmp_path / "t.yaml"), **more))

    return open_it


def test_a_tables_columns_are_spelled_in_one_way(opened: Callable[..., OpenedSource]) -> None:
    a, b, c = opened().files()
    assert a.metadata == {"age": "58", "sex": "F", "view": "PA", "site": "North Wing"}
    assert b.metadata == {"sex": "M", "view": "AP", "site": r"\x3cb\x3e"}
    assert c.metadata == {"age": "0.5"}
    assert collect.describe(a)["meta_age"] == "58"


def test_what_cannot_be_is_not_known_and_counted(opened: Callable[..., OpenedSource]) -> None:
    source = opened()
    source.files()
    assert source.notes.sentences() == [
        "not known: age of 1 films (not a possible age)",
        "not known: sex of 1 films (not a possible sex)",
    ]


def test_any_other_column_is_kept_where_it_is_asked_for(
    opened: Callable[..., OpenedSource],
) -> None:
    assert [file.metadata for file in opened(metadata=("bmi",)).files()] == [
        {"bmi": "21"},
        {"bmi": "22"},
        {},
    ]
    assert all(not file.metadata for file in opened(metadata=()).files())
    files = opened(metadata=("age", "smoker")).files()
    with pytest.raises(SourceError, match=r"ingest\.metadata: no film has smoker"):
        metadata.require_given(files, ("age", "smoker"))


@pytest.mark.parametrize(
    "name",
    [
        *("PatientName", "patient_id", "Patient ID", "MRN", "BirthDate", "date of birth", "dob"),
        *("AccessionNumber", "StudyInstanceUID", "phone", "주민번호", "환자 이름", "study_date"),
        *("PatientAddress", "OperatorsName", "patientname", "Report", "ssn", "PatientBirth"),
    ],
)
def test_what_identifies_is_never_kept(opened: Callable[..., OpenedSource], name: str) -> None:
    with pytest.raises(SourceError, match=r"^ingest\.metadata: .* identify a patient"):
        opened(metadata=(name,))


@pytest.mark.parametrize("name", ["label", "Path", "split", "patient", " "])
def test_what_is_no_metadata_is_refused(opened: Callable[..., OpenedSource], name: str) -> None:
    with pytest.raises(SourceError, match="is not metadata of a film"):
        opened(metadata=(name,))


def test_harmless_names_are_not_refused() -> None:
    metadata.require_harmless(
        ["bmi", "smoker", "KVP", "InstitutionName", "Follow-up #", "PatientSize", "ward"], "x"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *(("58", "58"), ("58.0", "58"), ("58,5", "58.5")),
        *(("058Y", "58"), ("90+", "90"), (">89", "89")),
        *(("006M", "0.5"), ("003W", "0.06"), ("002D", "0.01"), ("58세", "58")),
        *(
            ("400", None),
            ("414", None),
            ("-3", None),
            ("fifty", None),
            ("50-59", None),
            ("6 months", "0.5"),
            ("Y", None),
        ),
    ],
)
def test_ages_are_in_years(text: str, expected: str | None) -> None:
    assert metadata.years(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *(("F", "F"), ("female", "F"), ("Woman", "F"), ("여", "F"), ("W", "F"), ("M", "M")),
        *(("male", "M"), ("남성", "M"), ("O", None), ("1", None)),
    ],
)
def test_sexes_are_f_and_m(text: str, expected: str | None) -> None:
    assert metadata.sex(text) == expected


def test_dicom_tags_are_kept_where_they_are_asked_for(
    tmp_path: Path, write_dicom: WriteDicom
) -> None:
    write_dicom(
        tmp_path / "films/train/NORMAL/a.dcm",
        np.zeros((4, 4), np.uint8),
        PatientAge="006M",
        PatientSex="F",
        ViewPosition="AP",
        InstitutionName="Seoul General",
        Manufacturer="ACME",
        ManufacturerModelName="X 1",
        KVP="80",
        PatientComments="Hong",
    )
    description = tmp_path / "d.yaml"
    description.write_text("kind: dicom\npath: films\nsalt: a secret of the hospital\n")

    def known(**more: Any) -> dict[str, str]:
        (file,) = open_source(IngestParams(source=str(description), **more)).files()
        return dict(file.metadata)

    assert known() == {
        "age": "0.5",
        "sex": "F",
        "view": "AP",
        "site": "Seoul General",
        "scanner": "ACME X 1",
    }
    assert known(metadata=("sex", "KVP")) == {"sex": "F", "KVP": "80"}
    assert known(metadata=("AcquisitionDeviceProcessingDescription",)) == {}
    for tag in ("PatientComments", "DerivationDescription", "PixelData"):
        with pytest.raises(SourceError, match="never kept"):
            known(metadata=(tag,))
