from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from pneumo_core.errors import SourceError
from pneumo_core.params import IngestParams
from pneumo_core.sources import collect
from pneumo_core.sources.opening import OpenedSource, open_source

WriteDicom = Callable[..., Path]


@pytest.fixture
def opened(tmp_path: Path, write_dicom: WriteDicom) -> Callable[..., OpenedSource]:
    """Opens three studies (two films, one, one) with a table of labels; `I5` is no DICOM file."""
    for number, study in enumerate((1, 1, 2, 3), 1):
        write_dicom(
            tmp_path / f"export/HONG^GILDONG/I{number}",
            np.zeros((4, 4), np.uint8),
            SOPInstanceUID=f"1.9.{number}",
            StudyInstanceUID=f"1.8.{study}",
            AccessionNumber=f"00{study}",
            PatientID=f"P{study}",
            PatientSex="F",
        )
    (tmp_path / "export/HONG^GILDONG/I5").write_text("HONG GILDONG")

    def open_it(csv: str, **labels: Any) -> OpenedSource:
        (tmp_path / "labels.csv").write_text(csv)
        description = {
            "kind": "dicom",
            "path": "export",
            "salt": "a secret of the hospital",
            "labels": {"path": "labels.csv", **labels},
        }
        (tmp_path / "d.yaml").write_text(yaml.safe_dump(description))
        return open_source(IngestParams(source=str(tmp_path / "d.yaml")))

    return open_it


@pytest.mark.parametrize(
    ("match", "keys"),
    [
        ("AccessionNumber", ["001", "002", "009"]),
        ("StudyInstanceUID", ["1.8.1", "1.8.2", "1.8.9"]),
        ("SOPInstanceUID", ["1.9.2", "1.9.3", "1.9.9"]),
    ],
)
def test_films_find_their_row_by_a_tag(
    opened: Callable[..., OpenedSource], match: str, keys: list[str]
) -> None:
    csv = f"{match},label,age\n{keys[0]},PNEUMONIA,40\n{keys[1]},NORMAL,50\n{keys[2]},NORMAL,60\n"
    source = opened(csv, match=match)
    films = [(f.label, f.metadata) for f in source.files()]
    positive = ("PNEUMONIA", {"age": "40", "sex": "F", "view": "PA"})
    of_study = 1 if match == "SOPInstanceUID" else 2
    assert films == [("NORMAL", {"age": "50", "sex": "F", "view": "PA"}), *[positive] * of_study]
    assert source.notes.sentences() == [
        f"left out: {4 - len(films)} DICOM files without a row in the table of labels",
        "left out: 1 rows of the table of labels without a DICOM file",
    ]


def test_the_column_of_the_tag_may_have_another_name(opened: Callable[..., OpenedSource]) -> None:
    columns = {"AccessionNumber": "request", "label": "finding", "patient": "who"}
    csv = "request,finding,who\n001,normal,A\n002,pneumonia,A\n"
    files = opened(csv, match="AccessionNumber", columns=columns).files()
    assert len({file.patient.key for file in files if file.patient}) == 1
    assert {file.patient.rule for file in files if file.patient} == {"column"}


def test_a_row_that_is_left_out_leaves_its_films_out(opened: Callable[..., OpenedSource]) -> None:
    csv = "AccessionNumber,label,view\n001,NORMAL,PA\n002,NORMAL,LL\n003,NORMAL,PA\n"
    source = opened(csv, match="AccessionNumber", where={"view": ["PA"]})
    assert len(source.files()) == 3
    assert source.notes.sentences() == ["left out: 1 films with view LL"]


def test_by_path_files_and_rows_without_each_other_are_counted(
    opened: Callable[..., OpenedSource],
) -> None:
    source = opened("path,label\nI1,NORMAL\nHONG^GILDONG\\I2,PNEUMONIA\nI9,NORMAL\n")
    files = source.files()
    assert len(files) == 3
    assert source.notes.sentences() == [
        "left out: 2 DICOM files without a row in the table of labels"
    ]
    assert [collect.read(file) != b"" for file in files if file.num_bytes] == [True, True]


@pytest.mark.parametrize(
    "csv",
    [
        "AccessionNumber,label\n1,NORMAL\n2,NORMAL\n",
        "AccessionNumber,label\n001,NORMAL\n001,PNEUMONIA\n",
        "AccessionNumber,label\n001,COVID\n",
    ],
)
def test_an_error_names_no_number_of_a_patient_or_a_film(
    opened: Callable[..., OpenedSource], csv: str
) -> None:
    with pytest.raises(SourceError, match=r"AccessionNumber|line") as raised:
        opened(csv, match="AccessionNumber").files()
    for secret in ("001", "HONG", "1.9.", "1.8."):
        assert secret not in str(raised.value).replace("d.yaml", "")
