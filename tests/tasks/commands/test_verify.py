"""A bit that flips on the disk, and changes neither time nor size."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from flows.runs import alarm, verification
from pneumo_core import params
from pneumo_core.errors import DataError, PipelineError
from tasks import evaluate, ledger, paths, promote
from tasks.commands import verify

FULL = "test_efficientnet-full"
OUTPUTS = {
    "validate": [str(paths.IMAGES)],
    "split": [str(paths.SPLIT), str(paths.CERTIFICATE)],
    "evaluate": [str(paths.EVALUATED)],
}


def flip(path: Path) -> None:
    """Alter the last byte; size and times stay."""
    before, data = path.stat(), bytearray(path.read_bytes())
    data[-1] ^= 1
    with path.open("r+b") as file:  # the same inode, which DVC's cache may share
        file.write(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def dvc(*arguments: str) -> str:
    return subprocess.run(
        ["dvc", *arguments], check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def recorded(project: Path, promote_cell: Callable[..., str]) -> Path:
    """What the project's stages wrote is in `dvc.lock` and in DVC's cache and remote."""
    promote_cell(FULL)
    stages = {
        stage: {"cmd": "true", "outs": [{out: {"persist": True}} for out in outs]}
        for stage, outs in OUTPUTS.items()
    }
    (project / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))
    dvc("init", "--no-scm", "--quiet")
    dvc("remote", "add", "--default", "--quiet", "local", str(project / "var/dvc-store"))
    dvc("commit", "--force", "--quiet")
    dvc("push", "--quiet")
    return project


@pytest.mark.usefixtures("recorded")
def test_what_nobody_altered_is_found_so() -> None:
    assert list(verify.faults("pneumo")) == []
    promote.run(params.load().promote)
    assert verification.verify.fn().is_completed()


def test_a_model_that_the_parameters_do_not_name_any_more_may_be_gone(recorded: Path) -> None:
    locked = yaml.safe_load((recorded / "dvc.lock").read_text())
    gone = {"path": "results/train/gone", "md5": "0" * 32}
    locked["stages"]["train@gone"] = {"cmd": "true", "outs": [gone]}
    (recorded / "dvc.lock").write_text(yaml.safe_dump(locked))
    assert list(verify.faults("pneumo")) == []
    locked["stages"]["split"]["outs"].append(gone)
    (recorded / "dvc.lock").write_text(yaml.safe_dump(locked))
    assert list(verify.faults("pneumo")) == [
        "results/train/gone is missing, which the stage split wrote"
    ]


@pytest.mark.usefixtures("recorded")
def test_flipped_bit_stops_promotion_and_is_found() -> None:
    """DVC itself sees nothing of it."""
    settings = params.load().promote
    lines = paths.PROMOTION_LEDGER.read_bytes()
    for stage, file in (
        ("validate", next(paths.IMAGES.glob("*.npy"))),
        ("evaluate", paths.EVALUATED / FULL / "test" / "predictions.csv"),
        ("split", paths.CERTIFICATE),
    ):
        flip(file)
        assert "up to date" in dvc("status")
        with pytest.raises(
            PipelineError, match=f"is not what the stage {stage} wrote. 'pneumo ver"
        ):
            promote.run(settings)
        assert any(f"stage {stage} wrote" in fault for fault in verify.faults("pneumo"))
        flip(file)
    paths.CERTIFICATE.unlink()
    with pytest.raises(PipelineError, match="missing, which the stage split wrote"):
        promote.run(settings)
    assert paths.PROMOTION_LEDGER.read_bytes() == lines


@pytest.mark.usefixtures("recorded")
def test_flipped_bit_in_any_store_raises_the_alarm() -> None:
    cached, pushed = (
        next(path for path in Path(store).glob("files/md5/??/*") if path.suffix != ".dir")
        for store in (".dvc/cache", "var/dvc-store")
    )
    kept = paths.SCRATCH / "mlartifacts"
    (weights,) = kept.rglob("weights.safetensors")
    ledger.append(paths.TEST_LEDGER, number=1)
    ledger.append(paths.TEST_LEDGER, number=2)
    for file, fault in (
        (cached, f"{cached.name} is not what DVC stored there"),
        (pushed, f"{pushed.name} is not what DVC stored there"),
        (weights, "weights.safetensors was altered"),
    ):
        flip(file)
        state = verification.verify.fn()
        assert state.is_failed()
        assert fault in str(state.message)
        flip(file)
    text = paths.TEST_LEDGER.read_text()
    paths.TEST_LEDGER.write_text(text.replace('"number": 1', '"number": 3'))
    assert "test_scoring.jsonl: line " in str(verification.verify.fn().message)
    for hooks in (verification.verify.on_failure_hooks, verification.verify.on_crashed_hooks):
        assert hooks == [alarm.notify_failure]


@pytest.mark.usefixtures("recorded")
def test_repair_as_the_page_says_brings_back_what_was_there() -> None:
    shard = next(paths.IMAGES.glob("*.npy"))
    flip(shard)
    faults = [fault.partition(" is not what ") for fault in verify.faults("pneumo")]
    shard.unlink()
    for name, _, why in faults:
        if why == "DVC stored there":
            Path(name).unlink()
    assert faults[0][2] == "the stage validate wrote"
    dvc("pull")
    assert list(verify.faults("pneumo")) == []


def test_flipped_bit_in_packed_films_stops_evaluation(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "nonsense://nowhere")
    for shard in paths.IMAGES.glob("*.npy"):
        flip(shard)
    with pytest.raises(DataError, match=r"npy is not what was written: .*'pneumo verify'"):
        evaluate.run(params.load(project / "params.yaml").evaluate)


def test_nothing_is_not_called_intact(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PipelineError, match="nothing to verify"):
        list(verify.faults("pneumo"))


def test_nothing_raises_no_alarm_before_the_first_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy("params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    assert verification.verify.fn().name == "Skipped"
    ledger.append(paths.TEST_LEDGER, number=1)  # something ran, and its dvc.lock is gone
    assert "There is no dvc.lock" in str(verification.verify.fn().message)
