from typing import Any

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence

from pneumo_core.sources.dicom_content import (
    holds_no_image,
    not_stated,
    why_not_a_frontal_chest_film,
)

CT_CLASS, DX_CLASS, SC_CLASS = (f"1.2.840.10008.5.1.4.1.1.{n}" for n in ("2", "1.1", "7"))


def _header(**values: Any) -> Dataset:
    header = Dataset()
    header.file_meta = FileMetaDataset()
    for keyword, value in values.items():
        setattr(header, keyword, value)
    return header


def _coded(meaning: str) -> Sequence:
    code = Dataset()
    code.CodeMeaning = meaning
    return Sequence([code])


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"Modality": "CR", "BodyPartExamined": "CHEST", "ViewPosition": "PA"},
        {"Modality": "DX", "BodyPartExamined": "", "ViewPosition": ""},
        {"Modality": "DX", "BodyPartExamined": "THORAX", "ViewPosition": "AP"},
        {"Modality": "CR", "BodyPartExamined": "PORT CHEST", "ViewPosition": "AP SUPINE"},
        {"Modality": "CR", "ViewPosition": "CHEST_PA"},
        {"Modality": "CR", "ViewPosition": "POSTERO_ANTERIOR"},
        {"Modality": "DX", "ViewCodeSequence": _coded("antero-posterior")},
        {"SOPClassUID": DX_CLASS},
        {"SOPClassUID": SC_CLASS},
        {"Modality": "CR", "SOPClassUID": SC_CLASS},
    ],
    ids=str,
)
def test_frontal_chest_films_are_films(values: dict[str, Any]) -> None:
    assert why_not_a_frontal_chest_film(_header(**values)) is None


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"Modality": "CT"}, "another modality"),
        ({"Modality": "RF"}, "another modality"),
        ({"Modality": "OT", "SOPClassUID": SC_CLASS}, "another modality"),
        ({"SOPClassUID": CT_CLASS}, "another modality"),
        ({"Modality": "CR", "BodyPartExamined": "HAND"}, "another body part"),
        ({"Modality": "CR", "BodyPartExamined": "TSPINE"}, "another body part"),
        ({"Modality": "DX", "BodyPartExamined": "CHESTABDOMEN"}, "another body part"),
        ({"Modality": "CR", "ViewPosition": "LATERAL"}, "another view"),
        ({"Modality": "CR", "ViewPosition": "LL"}, "another view"),
        ({"Modality": "CR", "ViewPosition": "RLO"}, "another view"),
        ({"Modality": "CR", "ViewPosition": "LAT DECUB AP"}, "another view"),
        ({"Modality": "CR", "ViewPosition": "AP AXIAL"}, "another view"),
        ({"Modality": "DX", "ViewCodeSequence": _coded("left lateral")}, "another view"),
    ],
    ids=str,
)
def test_anything_else_is_refused(values: dict[str, Any], reason: str) -> None:
    assert reason in str(why_not_a_frontal_chest_film(_header(**values)))


def test_reasons_quote_nothing() -> None:
    for keyword in ("Modality", "BodyPartExamined", "ViewPosition"):
        header = _header(**{"Modality": "CR", keyword: "HONG GILDONG"})
        assert "HONG" not in str(why_not_a_frontal_chest_film(header))


@pytest.mark.parametrize(
    ("values", "missing"),
    [
        ({}, "modality, body part, view"),
        ({"Modality": "CR", "BodyPartExamined": "CHEST"}, "view"),
        ({"Modality": "CR", "ViewCodeSequence": _coded("postero-anterior")}, "body part"),
        ({"Modality": "CR", "BodyPartExamined": "CHEST", "ViewPosition": "PA"}, ""),
        ({"Modality": "CT"}, ""),
    ],
)
def test_what_is_not_stated_is_named(values: dict[str, Any], missing: str) -> None:
    assert not_stated(_header(**values)) == missing


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"Modality": "SR"}, True),
        ({"Modality": "PR"}, True),
        ({"Modality": "KO"}, True),
        ({"Modality": "CT", "Rows": 9}, False),
        ({"Modality": "DX"}, False),  # a film that lost its pixels
        ({}, False),
    ],
)
def test_objects_without_a_picture_are_no_images(values: dict[str, Any], expected: bool) -> None:
    assert holds_no_image(_header(**values)) == expected


def test_a_directory_is_no_image() -> None:
    header = _header()
    header.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.1.3.10"
    assert holds_no_image(header)
