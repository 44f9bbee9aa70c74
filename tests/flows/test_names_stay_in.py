"""Names of files, folders and patients stay in `results/ingest`; `pneumo who` tells them."""

import io
import json
import re
import subprocess
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from pneumo_core.labels import LABELS
from pneumo_core.params import DedupParams, IngestParams, SplitParams, ValidateParams
from tasks import dedup, ingest, paths, split, validate

pytestmark = pytest.mark.slow

Run = Callable[..., subprocess.CompletedProcess[str]]

TELLING = ("Kim_Minsu", "19700101", "Hong", "Gildong", "H-4711", "ACC-0815", "ward-7", "이영희")
FORMS = {form for word in TELLING for form in (word, json.dumps(word)[1:-1])}
ANY_TELLING = re.compile("|".join(map(re.escape, sorted(FORMS))).encode())
OF_PHANTOM = re.compile(rb"IM-\d{4}|person\d+_(?:bacteria|virus)")  # its files and patients


def _texts(path: Path) -> Iterator[bytes]:
    """Yield what a file says: its bytes, and those that a format hides."""
    data = path.read_bytes()
    if data[:4] == b"PAR1":  # but for where a film is stored: drawn ones keep their names
        yield (
            pd.read_parquet(io.BytesIO(data))
            .drop(columns="path", errors="ignore")
            .to_csv()
            .encode()
        )
        return
    yield data
    if data[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            yield from map(archive.read, archive.namelist())


def _leaks(files: Iterable[Path], secret: re.Pattern[bytes]) -> dict[str, bytes]:
    """Return the first secret of each file that holds one, in its bytes or its name."""
    found = {}
    for path in files:
        if match := secret.search(b"\n".join([str(path).encode(), *_texts(path)])):
            found[str(path)] = match.group()
    return found


def _files_outside_ingest(project: Path) -> Iterator[Path]:
    """Yield what runs wrote, but for `results/ingest` and its objects in DVC's cache."""
    lock = yaml.safe_load((project / "dvc.lock").read_text())
    of_ingest = set[str]()
    for out in lock["stages"]["ingest"]["outs"]:
        of_ingest.add(out["md5"])
        if out["md5"].endswith(".dir"):
            listed = project / ".dvc/cache/files/md5" / out["md5"][:2] / out["md5"][2:]
            of_ingest |= {each["md5"] for each in json.loads(listed.read_text())}
    for folder in ("results", "reports", "var", "ledger", "mlruns", ".dvc"):
        for path in (project / folder).rglob("*"):
            is_object = f"{path.parent.name}{path.name}" in of_ingest
            is_code = path.suffix == ".py"  # of a model in MLflow; names the archive's rule
            in_ingest = "results/ingest" in path.as_posix()
            if path.is_file() and not is_object and not is_code and not in_ingest:
                yield path
    yield from (project / "dvc.lock", project / "dvc.yaml")


def test_no_name_of_a_film_is_in_what_a_whole_run_leaves(
    trained: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    names = pd.read_parquet(trained / "results/ingest/names.parquet")
    assert names["file"].str.encode("utf-8").map(OF_PHANTOM.search).notna().all()
    assert names["patient"].str.encode("utf-8").map(OF_PHANTOM.search).notna().all()
    files = list(_files_outside_ingest(trained))
    assert len(files) > 100
    assert {path.suffix for path in files} >= {".db", ".html", ".md", ".parquet", ".csv", ".json"}
    assert _leaks(files, OF_PHANTOM) == {}
    base = tmp_path_factory.getbasetemp()
    prefect = [*base.rglob("prefect.db"), *base.parent.glob("popen-gw*/prefect*/prefect.db")]
    assert prefect
    assert _leaks(prefect, OF_PHANTOM) == {}
    # The search finds names where there are some.
    assert _leaks([trained / "results/ingest/names.parquet"], OF_PHANTOM)


@pytest.fixture
def hospital(
    tmp_path: Path, small_film: Callable[[int], Any], write_dicom: Callable[..., Path]
) -> Path:
    """A description of films with telling names: a folder, and DICOM with a full header."""
    from PIL import Image

    number = 0
    for part in ("train", "test"):
        for label in LABELS:
            for name in ("Kim_Minsu_19700101.jpg", "ward-7/이영희-2.png", "ward-7/이영희-3.png"):
                path = tmp_path / "films" / part / label / name
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(np.asarray(small_film(number))).save(path)
                number += 1
            header = {
                "PatientName": "Hong^Gildong", "PatientID": f"H-4711-{number}",
                "AccessionNumber": "ACC-0815", "SOPInstanceUID": f"1.2.{number}",
            }  # fmt: skip
            pixels = np.asarray(small_film(number))
            write_dicom(tmp_path / "dicom" / part / label / f"Hong-{number}.dcm", pixels, **header)
            number += 1
    (tmp_path / "films/train/NORMAL/Kim_Minsu-broken.png").write_bytes(b"Kim_Minsu")
    (tmp_path / "films/train/NORMAL/Kim_Minsu-gone.png").symlink_to(tmp_path / "Kim_Minsu")
    (tmp_path / "dicom/test/NORMAL/Hong.txt").write_text("Hong Gildong")
    sources = {
        "left": {"kind": "dicom", "path": "dicom", "salt": "sixteen characters"},
        "right": "films",
    }
    description = tmp_path / "hospital.yaml"
    description.write_text(yaml.safe_dump({"kind": "several", "sources": sources}))
    return description


def test_telling_names_and_headers_stay_in_ingest(
    tmp_path: Path, hospital: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    ingest.run(IngestParams(source=str(hospital)))
    validate.run(ValidateParams(image_size_px=64, max_quarantined_fraction=0.5))
    dedup.run(DedupParams())
    split.run(SplitParams(seed=0, val_per_class=1, accept_unknown_patients=True))
    files = [path for path in Path().rglob("*") if path.is_file() and path != paths.NAMES]
    assert {"var/data_docs", "results/split"} <= {"/".join(path.parts[:2]) for path in files}
    raw = [path for path in files if paths.RAW in path.parents]
    assert _leaks((path for path in files if path not in raw), ANY_TELLING) == {}
    assert all(word not in str(path) for path in raw for word in TELLING)
    printed = "".join(capsys.readouterr())
    assert not [word for word in TELLING if word in printed]


def test_who_tells_what_the_reports_leave_out(
    tmp_path: Path, hospital: Path, typed: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ingest.run(IngestParams(source=str(hospital)))
    names = pd.read_parquet(paths.NAMES).set_index("file")
    kim = names.loc["test/NORMAL/right/Kim_Minsu_19700101.jpg"]
    result = typed("pneumo", "who", kim["image_id"][:9], "unreadable-2", cwd=tmp_path)
    assert result.stdout.splitlines() == [
        f"{kim['image_id']}  test/NORMAL/right/Kim_Minsu_19700101.jpg",
        "  source: right, label: NORMAL, patient: unknown",
        "unreadable-2  train/NORMAL/right/Kim_Minsu-gone.png",
        "  source: right, label: NORMAL, patient: unknown",
    ]
    same = typed("pneumo", "who", kim["image_id"], "--source", "films", cwd=tmp_path)
    assert "test/NORMAL/Kim_Minsu_19700101.jpg" in same.stdout
    dicom = names[names["origin"] == "left"].iloc[0]
    told = typed("pneumo", "who", dicom["image_id"], cwd=tmp_path).stdout
    assert "of the source, sorted by path" in told
    assert not [word for word in TELLING if word in told]
    nobody = typed("pneumo", "who", "0000000000", cwd=tmp_path)
    assert nobody.returncode == 1
    assert "No film here is called '0000000000'" in nobody.stderr
