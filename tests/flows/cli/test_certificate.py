"""Leaks in a user's folder: named by the certificate, and never trained on."""

import json
import re
import subprocess
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from pneumo_core.sources.patients import kermany
from pneumo_core.sources.phantom import PhantomSource

pytestmark = pytest.mark.slow

Run = Callable[..., subprocess.CompletedProcess[str]]
ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def leaking(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The phantom as a folder, with one film of a training patient moved to test."""
    folder = tmp_path_factory.mktemp("leaking") / "films"
    source = PhantomSource.from_description(ROOT / "sources" / "phantom.yaml")
    truth = source.truth()
    for file in source.files():
        path = folder / file.place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.read())
    copied = {image_id for pair in truth.exact_duplicates for image_id in pair} | set(truth.broken)
    films = defaultdict(list)
    for path in sorted((folder / "train" / "PNEUMONIA").iterdir()):
        if f"train/PNEUMONIA/{path.name}" not in copied:
            films[kermany(path.name).key].append(path)
    moved = next(paths[0] for paths in films.values() if len(paths) > 2)
    moved.rename(folder / "test" / "PNEUMONIA" / moved.name)
    return folder


def test_certificate_of_a_folder_names_the_leak(leaking: Path, typed: Run, tmp_path: Path) -> None:
    out = tmp_path / "found" / "certificate.json"
    result = typed("pneumo", "certificate", leaking, "--out", out, cwd=tmp_path)
    assert result.returncode == 3, result.stderr
    found = json.loads(out.read_text())
    lines = result.stdout.splitlines()
    assert lines[0].startswith("Patient known for ")
    assert re.search(r" films by kermany \(\d+ patients\)\.$", lines[0])
    assert lines[1] == "Not valid: 1 images of patients confirmed in an earlier split too"
    assert "  not checked: 3 files that cannot be read, patients of 0 films" in lines
    assert found["patients"]["confirmed_across_splits"] == 1
    (name,) = found["lists"]["confirmed_across_splits"]
    looked_up = typed("pneumo", "who", name, "--source", leaking, cwd=tmp_path)
    assert "test/PNEUMONIA/person" in looked_up.stdout
    assert name in out.with_suffix(".html").read_text()
    assert len(found["lists"]["quarantined"]) == 3


def _films_under(folder: Path, names: Callable[[int], str], leaking: Path) -> Path:
    number = 0
    for split in ("train", "test"):
        for label in ("NORMAL", "PNEUMONIA"):
            target = folder / split / label
            target.mkdir(parents=True)
            for film in sorted((leaking / split / label).iterdir())[5:9]:
                (target / names(number)).write_bytes(film.read_bytes())
                number += 1
    return folder


@pytest.mark.parametrize(
    ("names", "patients", "code", "first", "second"),
    [
        ("{:08d}_000.png", "auto", 0, "16 of 16 films by nih", "Valid"),
        ("scan{}.png", "auto", 3, "0 of 16 films by no rule", "Patients unknown"),
        ("{:08d}_000.png", "none", 3, "0 of 16 films by no rule", "Patients unknown"),
        ("P{}-1.png", r"^P(?P<patient>\d+)-", 0, "16 of 16 films by pattern", "Valid"),
    ],
)
def test_certificate_is_valid_only_where_patients_are_known(
    leaking: Path,
    typed: Run,
    tmp_path: Path,
    names: str,
    patients: str,
    code: int,
    first: str,
    second: str,
) -> None:
    folder = _films_under(tmp_path / "films", names.format, leaking)
    command = ("pneumo", "certificate", folder, "--patients", patients)
    result = typed(*command, "--out", tmp_path / "c.json", cwd=tmp_path)
    assert result.returncode == code, result.stdout + result.stderr
    lines = result.stdout.splitlines()
    assert lines[0].startswith(f"Patient known for {first}")
    assert lines[1] == second


def test_a_project_reads_other_films_by_its_own_settings(
    typed: Run, tmp_path: Path, project_params: Path
) -> None:
    content = yaml.safe_load(project_params.read_text())
    content["ingest"] |= {
        "labels": {"PNEUMONIA": ["BACTERIA"]},
        "ignore": ["COVID19"],
        "patients": r"^(?P<patient>\d+)-",
        "metadata": ["age", "smoker"],
    }
    project_params.write_text(yaml.safe_dump(content))
    draw = np.random.default_rng(0)
    for number, place in enumerate(("NORMAL", "BACTERIA", "COVID19")):
        (tmp_path / "films" / place).mkdir(parents=True)
        pixels = draw.integers(0, 255, (64, 64), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "films" / place / f"{number}-1.png")
    command = ("pneumo", "certificate", "films", "--out", "c.json")
    for more, known in (((), "2 of 2 films by pattern"), (("--patients", "none"), "0 of 2 films")):
        result = typed(*command, *more, cwd=tmp_path)
        assert result.returncode == 3, result.stderr  # the films are in no splits
        assert result.stdout.startswith(f"Patient known for {known}")
        assert "  left out: 1 files in folders of ingest.ignore" in result.stdout.splitlines()


def test_certificate_of_films_that_nobody_can_read_is_not_valid(
    leaking: Path, typed: Run, tmp_path: Path
) -> None:
    folder = _films_under(tmp_path / "films", "IM-{:04d}-0001.png".format, leaking)
    for film in folder.rglob("*.png"):
        film.write_bytes(b"no film")
    out = tmp_path / "c.json"
    result = typed("pneumo", "certificate", folder, "--out", out, cwd=tmp_path)
    assert result.returncode == 3
    assert "no readable film in train; no readable film in test" in result.stdout
    assert not json.loads(out.read_text())["valid"]


def test_training_does_not_start_on_a_leak(
    leaking: Path, make_project: Callable[[], Path], run: Run
) -> None:
    project = make_project()
    params = project / "params.yaml"
    params.write_text(
        params.read_text()
        .replace("sources/phantom.yaml", str(leaking))
        .replace("image_size_px: 128", "image_size_px: 64")
    )
    result = run("dvc", "repro", "train@tf_efficientnet_lite0-frozen", cwd=project)
    assert result.returncode != 0
    assert "certificate is not valid: 1 images of patients confirmed" in result.stderr
    assert (project / "results" / "split" / "certificate.json").is_file()
    assert not (project / "results" / "train" / "tf_efficientnet_lite0-frozen").exists()


@pytest.mark.parametrize(("source", "output"), [("nothing", "Nothing at"), (".", "No images in")])
def test_certificate_of_no_source_is_one_sentence(
    typed: Run, tmp_path: Path, source: str, output: str
) -> None:
    out = tmp_path / "c.json"
    result = typed("pneumo", "certificate", source, "--out", out, cwd=tmp_path)
    assert result.returncode == 1
    assert result.stderr.startswith("pneumo: ")
    assert output in result.stderr
    assert not out.exists()
