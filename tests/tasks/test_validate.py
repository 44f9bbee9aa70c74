import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pneumo_core.errors import DataError
from pneumo_core.params import IngestParams, ValidateParams
from tasks import ingest, paths, validate


@pytest.mark.slow
def test_too_many_files_that_cannot_be_used_stop_the_run_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    draw = np.random.default_rng(0)
    for label in ("NORMAL", "PNEUMONIA"):
        folder = tmp_path / "films" / label
        folder.mkdir(parents=True)
        for number in range(2):
            pixels = draw.integers(0, 255, (64, 64), np.uint8)
            Image.fromarray(pixels).save(folder / f"{number}.png")
    (tmp_path / "films/NORMAL/2.png").write_text("text")
    ingest.run(IngestParams(source="films"))
    film = hashlib.sha256(b"text").hexdigest()[:16]
    with pytest.raises(
        DataError,
        match=rf"^1 of 5 files cannot be used, .*: not an image\. .* 5%; .*: {film}\. 'pneumo who",
    ):
        validate.run(ValidateParams(image_size_px=64))
    assert film in paths.QUARANTINE.read_text()
    validate.run(ValidateParams(image_size_px=64, max_quarantined_fraction=0.2))
    assert paths.VALIDATED.is_file()
