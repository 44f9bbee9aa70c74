"""Two folders of real films, from ingest to a valid certificate, as they grow."""

import csv
import io
import json
import zipfile
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image, ImageOps

from pneumo_core.data import manifest
from pneumo_core.params import DedupParams, IngestParams, SplitParams, ValidateParams
from pneumo_core.sources import identity
from tasks import dedup, ingest, paths, split, validate

ARCHIVE = Path(__file__).parents[3] / "shared/data/nih_cxr8_224.zip"
NUM_AT_FIRST, NUM_FILMS = 120, 160

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not ARCHIVE.is_file(), reason="the films of NIH are not beside the project"),
]


@pytest.fixture(scope="module")
def films() -> dict[str, bytes]:
    """Real films by their places in two folders, in no order of theirs."""
    with zipfile.ZipFile(ARCHIVE) as archive:
        table = io.TextIOWrapper(archive.open("nih/Data_Entry_2017.csv"), "utf-8-sig")
        rows = sorted(csv.DictReader(table), key=lambda row: row["Image Index"][::-1])[:NUM_FILMS]
        names = {row["Image Index"]: row["Finding Labels"] for row in rows}
        return {
            f"{'NORMAL' if found == 'No Finding' else 'PNEUMONIA'}/{name}": archive.read(
                f"nih/images/{name}"
            )
            for name, found in names.items()
        }


def _split(root: Path, films: dict[str, bytes]) -> pd.DataFrame:
    for place, data in films.items():
        path = root / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    ingest.run(IngestParams(source=str(root)))
    validate.run(ValidateParams(image_size_px=64))
    dedup.run(DedupParams())
    split.run(SplitParams(seed=0, val_per_class=10))
    return manifest.kept(manifest.read(paths.SPLIT)).set_index("image_id")


def test_nobody_leaves_test_as_films_and_links_are_added(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    films: dict[str, bytes],
) -> None:
    monkeypatch.chdir(tmp_path)
    first = _split(tmp_path / "films", dict(list(films.items())[:NUM_AT_FIRST]))
    printed = capsys.readouterr().out.splitlines()
    lines = [line for line in printed if line.startswith("split:")]
    assert lines[0] == (
        f"split: Patient known for {len(first)} of {len(first)} films by nih "
        f"({first['patient_key'].nunique()} patients)"
    )
    assert lines[1].startswith("split: Test made by pneumo: 20% of the films, in whole patients")
    assert "split: 0 of" in lines[2]
    pinned, written = paths.PINNED_PATIENTS.read_bytes(), paths.CERTIFICATE.read_bytes()

    split.run(SplitParams(seed=1, val_per_class=30))
    assert paths.PINNED_PATIENTS.read_bytes() == pinned
    assert paths.CERTIFICATE.read_bytes() == written

    # A mirrored film of a test patient, under the number of one in train: both are in test then.
    in_test = first[first["split"] == "test"].index[0]
    in_train = first[first["split"] == "train"].index[0]
    names = identity.read(paths.NAMES).set_index("image_id")
    number = names.loc[in_train, "patient"].removeprefix("nih:").zfill(8)
    place = names.loc[in_test, "file"].removeprefix("all/")
    mirrored = ImageOps.mirror(Image.open(tmp_path / "films" / place))
    label = place.split("/")[0]
    (tmp_path / "films" / label).mkdir(exist_ok=True)
    mirrored.save(tmp_path / "films" / label / f"{number}_999.png")

    grown = _split(tmp_path / "films", films)
    both = first.index.intersection(grown.index)
    was, now = first.loc[both, "split"], grown.loc[both, "split"]
    linked = grown.loc[both, "patient_key"] == grown.loc[in_train, "patient_key"]
    assert set(now[linked]) == {"test"}
    assert (was == now)[~linked].all()
    certificate = json.loads(paths.CERTIFICATE.read_text())
    assert certificate["state"] == "valid"
    assert certificate["near_duplicates"]["groups_across_splits"] == 0
    splits_of_patient = grown.groupby("patient_group")["split"].nunique()
    assert splits_of_patient.max() == 1
