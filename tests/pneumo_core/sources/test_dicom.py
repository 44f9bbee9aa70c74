import hashlib
import hmac
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pneumo_core.data import manifest
from pneumo_core.errors import SourceError
from pneumo_core.sources import collect
from pneumo_core.sources.source import Source, SourceFile

Describe = Callable[..., Source]
WriteDicom = Callable[..., Path]

SALT = "a secret of the hospital's"
SECRETS = (
    *("H-4711", "Hong", "Gildong", "1.2.826.0.1.3680043", "19800101", "Seoul General"),
    *("gildong-hong-chest", "ward-7"),
)


@pytest.fixture
def source(open_description: Describe) -> Callable[..., Source]:
    def open_it(**more: Any) -> Source:
        salt = {} if {"salt_env", "salt_file"} & more.keys() else {"salt": SALT}
        return open_description(kind="dicom", path="dicom", **{**salt, **more})

    return open_it


@pytest.fixture
def films(tmp_path: Path, write_dicom: WriteDicom) -> Path:
    """Two films of one patient, one of another one and one of nobody, in nested folders."""
    root = tmp_path / "dicom"
    draw = np.random.default_rng(0)
    private = {
        "PatientBirthDate": "19800101",
        "InstitutionAddress": "1 Seoul General Street",
        "ImageComments": "Hong Gildong",
    }
    for place, patient in {
        "train/NORMAL/ward-7/gildong-hong-chest.dcm": "H-4711",
        "train/NORMAL/ward-7/without-suffix": "H-4711",
        "train/PNEUMONIA/a.dcm": "H-12",
        "test/normal/b.dcm": None,
        "test/PNEUMONIA/deep/er/c.dcm": " H-12 ",
    }.items():
        pixels = draw.integers(0, 4096, (40, 30), dtype=np.uint16)
        header = private | {"BitsStored": 12, "HighBit": 11, "PatientID": patient}
        write_dicom(root / place, pixels, SOPInstanceUID=_uid(place), **header)
    return root


def _uid(place: str) -> str:
    return f"1.2.826.0.1.3680043.8.498.{int(hashlib.sha256(place.encode()).hexdigest()[:12], 16)}"


def _hash(what: str) -> str:
    return hmac.new(SALT.encode(), what.encode(), hashlib.sha256).hexdigest()[:32]


@pytest.mark.usefixtures("films")
def test_films_come_by_hashes_of_what_the_headers_say(source: Callable[..., Source]) -> None:
    rows = {file.place: collect.describe(file) for file in source().files()}
    name = _hash(f"image:{_uid('train/NORMAL/ward-7/gildong-hong-chest.dcm')}")
    assert rows[f"train/NORMAL/{name}.png"]["patient"] == _hash("patient:H-4711")
    keys = [row["patient"] for row in rows.values()]
    assert keys.count(_hash("patient:H-4711")) == 2
    assert keys.count(_hash("patient:H-12")) == 2
    assert manifest.count(pd.DataFrame(rows.values()), "patient_rule", "origin") == {
        "dicom/dicom": 4,
        "unknown/dicom": 1,
    }
    other = {collect.describe(f)["patient"] for f in source(salt=SALT[::-1]).files()}
    assert other & set(keys) == {None}


def test_nothing_that_identifies_reaches_the_copy_or_the_manifest(
    tmp_path: Path, films: Path, source: Callable[..., Source]
) -> None:
    (films / "train/NORMAL/hong-gildong.txt").write_text("Hong Gildong")
    (films / "train/NORMAL/hong-link.dcm").symlink_to(films / "test/normal/b.dcm")
    table = collect.collect(source().files(), tmp_path / "raw")
    manifest.write(table, tmp_path / "manifest.parquet")
    assert manifest.count(table, "state") == {"kept": 5, "quarantined": 2}
    message = " ".join(map(str, tmp_path.joinpath("raw").rglob("*"))) + table.to_csv()
    copies = [path for path in (tmp_path / "raw").rglob("*") if path.is_file()]
    written = b" ".join(path.read_bytes() for path in copies) + message.encode()
    for secret in (*SECRETS, "hong", str(films)):
        assert secret.encode() not in written
    for copy in copies:
        with Image.open(copy) as image:
            image.load()
            assert image.info == {}
            assert (image.format, image.mode) == ("PNG", "L")


def test_quarantined_files_are_told_by_number(
    tmp_path: Path, films: Path, source: Callable[..., Source]
) -> None:
    (films / "train/NORMAL/hong.txt").write_text("Hong Gildong")
    table = collect.collect(source().files(), tmp_path / "raw")
    (reason,) = table["reason"].dropna()
    assert reason == (
        "cannot be read: not a DICOM file: the marker DICM is missing "
        "(file 3 of the source, sorted by path)"
    )


def test_headers_that_break_rules_are_read_without_quoting_them(
    tmp_path: Path, write_dicom: WriteDicom, source: Callable[..., Source],
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    from pydicom import config

    pixels = np.zeros((4, 4), np.uint8)
    with config.disable_value_validation():
        uid, patient = "Hong.Gildong", "H" * 80
        path = tmp_path / "dicom/train/NORMAL/a.dcm"
        write_dicom(path, pixels, SOPInstanceUID=uid, PatientID=patient)
    (file,) = source().files()
    assert file.name == f"{_hash('image:Hong.Gildong')}.png"
    assert file.read()
    assert "Hong" not in "".join(capsys.readouterr())


def test_copy_of_a_film_is_kept_beside_it(
    tmp_path: Path, write_dicom: WriteDicom, source: Callable[..., Source]
) -> None:
    for name in ("a", "b"):
        pixels = np.zeros((4, 4), np.uint8)
        write_dicom(tmp_path / "dicom/train/NORMAL" / name, pixels, SOPInstanceUID="1.2.3")
    name = _hash("image:1.2.3")
    assert [file.name for file in source().files()] == [f"{name}-2.png", f"{name}.png"]


def test_two_folders_suffice_and_a_film_beside_them_is_counted_without_its_name(
    tmp_path: Path, write_dicom: WriteDicom, source: Callable[..., Source]
) -> None:
    places = ("NORMAL/1.2.840.1", "ward/Pneumonia/1.2.840.2", "DICOMDIR")
    for place in places:
        write_dicom(tmp_path / "dicom" / place, np.zeros((4, 4), np.uint8))
    (tmp_path / "dicom" / "readme").write_text("films of one ward")
    assert [(file.split, file.label) for file in source().files()] == [
        ("all", "NORMAL"),
        ("all", "PNEUMONIA"),
    ]
    for place in ("Hong Gildong/1.2.840.3", "train/NORMAL/1.2.840.4"):
        stray = tmp_path / "dicom" / place
        write_dicom(stray, np.zeros((4, 4), np.uint8))
        with pytest.raises(SourceError, match=r"has \d films in no class, or beside") as raised:
            source().files()
        assert "Hong" not in str(raised.value)
        stray.unlink()


def test_labels_may_come_from_a_table(
    tmp_path: Path, write_dicom: WriteDicom, source: Callable[..., Source]
) -> None:
    for name in ("a", "b", "unlabelled"):
        write_dicom(tmp_path / "dicom" / name, np.zeros((4, 4), np.uint8), PatientID="own")
    (tmp_path / "dicom" / "labels.csv").write_text(
        "path,label,split,patient,subtype\n"
        "a,normal,test,,\nb,PNEUMONIA,,P 9,virus\ngone,normal,,,\n"
    )
    files = {
        file.place.rpartition("/")[0]: file for file in source(labels="dicom/labels.csv").files()
    }
    rows = {place: collect.describe(file) for place, file in files.items()}
    assert set(rows) == {"test/NORMAL", "all/PNEUMONIA", "all/NORMAL"}
    assert rows["test/NORMAL"]["patient"] == _hash("patient:OWN")
    assert rows["all/PNEUMONIA"]["patient"] == _hash("patient:P 9")
    assert rows["all/PNEUMONIA"]["subtype"] == "virus"
    with pytest.raises(OSError, match=r"no such file \(file 3 of the source"):
        files["all/NORMAL"].read()


GRAY = np.zeros((4, 4), np.uint8)


@pytest.mark.parametrize(
    ("pixels", "header", "message"),
    [
        (None, {}, "DICOM without pixels"),
        (np.zeros((3, 4, 4), np.uint8), {"NumberOfFrames": 3}, "DICOM of 3 frames, not one film"),
        (GRAY, {"BurnedInAnnotation": "YES"}, "text burned into its pixels"),
        (GRAY, {"PhotometricInterpretation": "PALETTE COLOR"}, "DICOM in PALETTE COLOR"),
        (GRAY, {"Rows": 30_000, "Columns": 30_000}, "oversized: 30000 x 30000"),
        (GRAY, {"PixelData": bytes(3)}, "pixels cannot be decoded .Explicit VR Little Endian"),
    ],
)
def test_what_is_no_film_says_why(
    tmp_path: Path, write_dicom: WriteDicom, source: Callable[..., Source],
    pixels: Any, header: dict[str, Any], message: str,
) -> None:  # fmt: skip
    write_dicom(tmp_path / "dicom/train/NORMAL/a.dcm", pixels, **header)
    (file,) = source().files()
    assert collect.describe(file)["patient"] == _hash("patient:H-4711")
    with pytest.raises(OSError, match=message):
        file.read()


@pytest.mark.parametrize(
    ("salt", "message"),
    [
        ({"salt_env": "PNEUMO_NO_SUCH"}, "in the variable PNEUMO_NO_SUCH has 0 characters"),
        ({"salt_file": "gone.salt"}, "salt of the DICOM source is not there"),
        ({"salt": "short"}, "in salt has 5 characters, expected 16 or more"),
        ({"salt": SALT, "salt_env": "HOME"}, "give one of salt_env, salt_file, salt"),
    ],
)
def test_with_a_bad_salt_nothing_runs(
    films: Path, open_description: Describe, salt: dict[str, Any], message: str
) -> None:
    with pytest.raises(SourceError, match=message) as raised:
        open_description(kind="dicom", path=films.name, **salt)
    assert SALT not in str(raised.value)


@pytest.mark.usefixtures("films")
def test_without_a_salt_of_its_own_the_project_has_one(
    tmp_path: Path, open_description: Describe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    first, again = (open_description(kind="dicom", path="dicom").files() for _ in range(2))
    assert [file.place for file in first] == [file.place for file in again]
    assert (tmp_path / "var/salt").stat().st_mode & 0o777 == 0o600


@pytest.mark.usefixtures("films")
def test_salt_is_the_same_wherever_it_lies(
    tmp_path: Path, source: Callable[..., Source], monkeypatch: pytest.MonkeyPatch
) -> None:
    def ids(files: list[SourceFile]) -> list[str]:
        return [file.place for file in files]

    monkeypatch.setenv("PNEUMO_TEST_SALT", SALT)
    (tmp_path / "it.salt").write_text(SALT + "\n")
    given = source()
    assert SALT not in repr(given)
    assert ids(source(salt_env="PNEUMO_TEST_SALT").files()) == ids(given.files())
    assert ids(source(salt_file="it.salt").files()) == ids(given.files())


def test_no_folder_and_no_films_are_clear_errors(
    tmp_path: Path, source: Callable[..., Source]
) -> None:
    with pytest.raises(SourceError, match="expected a folder of DICOM files"):
        source()
    (tmp_path / "dicom").mkdir()
    with pytest.raises(SourceError, match="expected DICOM files below"):
        source().files()


@pytest.mark.parametrize("patient", ["", None, "0", "ANONYMOUS", "Z-1"])
def test_a_patient_id_that_anonymisers_write_names_nobody(
    tmp_path: Path, write_dicom: WriteDicom, source: Callable[..., Source], patient: str | None
) -> None:
    """Film n of train and film n of test are of one study, which is all that is left."""
    draw = np.random.default_rng(0)
    for number in range(4):
        for split in ("train", "test"):
            pixels = draw.integers(0, 4096, (40, 30), dtype=np.uint16)
            header = {"PatientID": patient, "StudyInstanceUID": f"1.2.{number}"}
            write_dicom(tmp_path / f"dicom/{split}/NORMAL/{number}.dcm", pixels, **header)
    rows = [collect.describe(file) for file in source().files()]
    assert {row["patient_rule"] for row in rows} == {"unknown"}
    assert {row["patient"] for row in rows} == {None}
    assert len({row["group"] for row in rows}) == 4


def test_what_is_no_film_is_counted_and_not_listed(
    tmp_path: Path, write_dicom: WriteDicom, open_description: Describe
) -> None:
    """An export: films, one lateral, one that says little, CT, reports, and files of the medium."""
    folder, film = tmp_path / "dicom/train/NORMAL/study", np.zeros((4, 4), np.uint8)
    write_dicom(folder / "I1", film)
    write_dicom(folder / "I2", film, ViewPosition=None, BodyPartExamined="")
    write_dicom(folder / "I3", film, ViewPosition="LATERAL")
    write_dicom(folder / "I4", film, Modality="CT")
    write_dicom(folder / "I5", Modality="SR")
    write_dicom(folder / "I6", Modality="PR")
    write_dicom(folder / "I7")  # a film that lost its pixels
    for name in ("DICOMDIR", "VERSION", "AUTORUN.INF", "I1:Zone.Identifier"):
        (folder / name).write_text("1")
    source = open_description(kind="dicom", path="dicom", salt=SALT)
    rows = [collect._collect_one(file, tmp_path / "raw") for file in source.files()]
    reasons = sorted(str(row.get("reason")).partition(" (")[0] for row in rows)
    assert reasons == [
        "None",
        "None",
        "cannot be read: DICOM without pixels",
    ]
    assert source.notes.sentences() == [
        "6 files of the DICOM source are not films (DICOMDIR, reports, presentation states)",
        "1 DICOM films do not state their body part, view: they count as frontal chest films",
        "left out: 1 files, DICOM in another view than frontal, PA or AP (ViewPosition)",
        "left out: 1 files, DICOM of another modality than CR and DX (Modality)",
    ]


def test_an_export_without_a_film_says_what_it_holds(
    tmp_path: Path, write_dicom: WriteDicom, source: Callable[..., Source]
) -> None:
    write_dicom(tmp_path / "dicom/NORMAL/a", np.zeros((4, 4), np.uint8), ViewPosition="LL")
    with pytest.raises(SourceError, match=r"^No images .*left out: 1 files, DICOM in another view"):
        source().files()
