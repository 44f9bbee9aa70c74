import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.numpy import load_file, save_file

from pneumo_core.arrays import Gray
from pneumo_core.errors import BundleError
from pneumo_core.evaluation import reference
from pneumo_core.evaluation.reference import STATISTICS, Reference, drawn, measure_films
from pneumo_core.models import bundle, bundled_model
from pneumo_core.models.bundle import Description

NUM_FEATURES = 40


def _features(num_films: int, seed: int) -> Any:
    """Four directions of much variance and thirty-six of little, around 3."""
    scale = np.r_[[9, 7, 5, 3], np.full(NUM_FEATURES - 4, 0.1)]
    normal = np.random.default_rng(seed).standard_normal((num_films, NUM_FEATURES))
    return (3 + scale * normal).astype(np.float32)


@pytest.fixture(scope="module")
def made() -> Reference:
    return _make(num_val=400)


def _make(num_val: int) -> Reference:
    statistics = np.arange((200 + num_val) * len(STATISTICS), dtype=np.float32)
    statistics, val_statistics = np.split(statistics.reshape(-1, len(STATISTICS)), [200])
    drift_reference = np.arange(0, num_val, 4)
    labels = np.arange(num_val) % 2
    probabilities = np.linspace(0, 1, num_val)
    val = _features(num_val, 1)
    return Reference.of(
        statistics, _features(200, 0), val_statistics, val, probabilities, labels, drift_reference
    )


def test_draw_follows_from_the_films_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference, "MAX_FILMS", 10)
    hashes = [f"{n * 7919 % 1000:064x}" for n in range(50)]
    films = pd.DataFrame({"pixel_sha256": hashes})
    chosen = set(drawn(films)["pixel_sha256"])
    assert chosen == set(sorted(hashes)[:10])
    assert set(drawn(films.sample(frac=1, random_state=0))["pixel_sha256"]) == chosen
    one_less = films[films["pixel_sha256"] != min(hashes)]
    assert len(chosen - set(drawn(one_less)["pixel_sha256"])) == 1
    assert drawn(films).index.is_monotonic_increasing
    monkeypatch.setattr(reference, "MAX_FILMS", 100)
    assert len(drawn(films)) == 50


def test_description_has_the_films_levels_and_their_files_sizes(film: Callable[..., Gray]) -> None:
    images = np.stack([film(0), film(1)])
    described = dict(
        zip(STATISTICS, measure_films(images, [2000, 300], [1000, 600]).T, strict=True)
    )
    assert described["mean"] == pytest.approx(images.mean((1, 2)))
    assert described["width_px"].tolist() == [2000, 300]
    assert described["height_px"].tolist() == [1000, 600]
    assert described["aspect"].tolist() == [2, 0.5]


def test_films_that_were_learned_are_known_again(made: Reference, tmp_path: Path) -> None:
    learned, new = [f"{n:064x}" for n in range(50)], [f"{n:064x}" for n in range(50, 60)]
    assert made.num_trained_on(learned) is None  # an older bundle does not know
    knows = replace(made, trained_on=reference.film_digests(reversed(learned)))
    assert knows.num_trained_on([*new, *learned[:3]]) == 3
    assert knows.num_trained_on([]) == 0
    knows.write(tmp_path / "reference.safetensors")
    stored = load_file(tmp_path / "reference.safetensors")["trained_on"]
    assert stored.dtype == np.uint64
    assert (np.diff(stored.astype(np.float64)) > 0).all()  # no order but that of the digests
    assert learned[0].encode() not in (tmp_path / "reference.safetensors").read_bytes()


def test_strangeness_is_the_mahalanobis_distance_of_probabilistic_pca(made: Reference) -> None:
    """Against the distance under the covariance written out in full."""
    covariance = made.residual_variance * np.eye(NUM_FEATURES)
    for direction, variance in zip(made.directions, made.variances, strict=True):
        covariance += (variance - made.residual_variance) * np.outer(direction, direction)
    films = _features(50, 2)
    away = films - made.mean
    expected = np.sqrt(np.einsum("nf,fg,ng->n", away, np.linalg.inv(covariance), away))
    assert made.ood_score(films) == pytest.approx(expected, rel=1e-3)
    assert made.ood_score(made.mean[None]) == pytest.approx(0)


def test_rate_of_false_rejections_is_the_stated_one() -> None:
    """Over many references, as a validation set of 400 leaves the rate of one to chance."""
    films = _features(2000, 5)
    rejected = []
    for seed in range(10):
        train, val = _features(400, 100 + seed), _features(400, 200 + seed)
        statistics = np.zeros((400, len(STATISTICS)), np.float32)
        labels = np.zeros(400, np.int64)
        made = Reference.of(statistics, train, statistics, val, np.zeros(400), labels, labels)
        assert made.false_rejection_rate == 2 / 401
        rejected.append(np.mean(made.ood_score(films) > made.max_ood_score))
    assert 0.002 < np.mean(rejected) < 0.01


def test_few_validation_films_cannot_promise_a_small_rate() -> None:
    made = _make(num_val=40)
    assert made.false_rejection_rate == 1 / 41
    assert made.max_ood_score == made.ood_score(_features(40, 1)).max()


def test_what_is_elsewhere_is_strange_in_any_direction(made: Reference) -> None:
    for direction in range(NUM_FEATURES):
        film = np.full((1, NUM_FEATURES), 3, np.float32)
        film[0, direction] += 100 if direction < 4 else 2
        assert made.ood_score(film) > made.max_ood_score


def test_peers_are_what_later_films_would_be(made: Reference) -> None:
    val = _features(400, 1)[::4]
    assert made.project(val) == pytest.approx(made.drift_features, abs=1e-3)
    assert made.ood_score(val) == pytest.approx(made.drift_ood_scores)
    assert made.drift_statistics[0, 0] == 200 * len(STATISTICS)
    assert made.drift_probabilities.tolist() == made.val_probabilities[::4].tolist()


def test_peers_are_held_out_independent_and_mixed_as_the_patients(
    make_table: Callable[..., pd.DataFrame],
) -> None:
    """Three in four patients are positive, in validation every other one; they have two films."""
    rows = [
        {"image_id": f"{split}/PNEUMONIA/person{person}_virus_{film}.jpeg"}
        for split, persons in (("train", range(100, 122)), ("val", range(1, 9)))
        for person in persons
        for film in (2 * person, 2 * person + 1)
    ] + [
        {"image_id": f"{split}/NORMAL/IM-{series:04d}-0001.jpeg"}
        for split, seriess in (("train", range(100, 102)), ("val", range(1, 9)))
        for series in seriess
    ]
    for place, row in enumerate(rows):
        row["pixel_sha256"] = f"{place * 7919 % 1000:064x}"
    films = make_table(rows).sample(frac=1, random_state=0)
    chosen = films.loc[reference.drift_reference(films)]
    assert set(chosen["split"]) == {"val"}
    assert chosen["patient_group"].is_unique
    assert chosen["label"].value_counts().to_dict() == {"PNEUMONIA": 8, "NORMAL": 2}
    again = films.sample(frac=1, random_state=1)
    assert set(reference.drift_reference(again)) == set(chosen.index)


def test_written_and_read_from_a_bundle_it_is_the_same(
    tmp_path: Path, made: Reference, description: Description
) -> None:
    folder = _bundle(tmp_path, description, made.write)
    read = Reference.of_bundle(folder)
    for name, value in vars(made).items():
        assert np.array_equal(getattr(read, name), value), name
    (folder / bundle.REFERENCE).write_bytes(b"altered")
    with pytest.raises(BundleError, match="was altered"):
        Reference.of_bundle(folder)


@pytest.mark.slow
def test_same_reference_gives_the_same_bytes_in_every_process(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[1]);"
        "from test_reference import _make; _make(40).write(Path(sys.argv[2]))"
    )
    for seed in ("1", "2"):
        command = [sys.executable, "-c", code, str(Path(__file__).parent), str(tmp_path / seed)]
        subprocess.run(command, check=True, env={"PYTHONHASHSEED": seed})
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()


def test_reference_of_another_code_is_refused(
    tmp_path: Path, made: Reference, description: Description
) -> None:
    def older(path: Path) -> None:
        made.write(path)
        header = {"names": ["mean"], "scalars": _scalars(made)}
        save_file(load_file(path), path, {reference.HEADER: json.dumps(header)})

    with pytest.raises(BundleError, match="has the statistics mean; this code needs mean, std"):
        Reference.of_bundle(_bundle(tmp_path, description, older))


@pytest.mark.parametrize("content", [b"", b"no safetensors"])
def test_what_is_no_reference_is_refused(
    tmp_path: Path, description: Description, content: bytes
) -> None:
    folder = _bundle(tmp_path, description, lambda path: path.write_bytes(content) and None)
    with pytest.raises(BundleError, match="is not a reference"):
        Reference.of_bundle(folder)


def _scalars(made: Reference) -> dict[str, float]:
    return {name: value for name, value in vars(made).items() if isinstance(value, float)}


def _bundle(
    tmp_path: Path, description: Description, write_reference: Callable[[Path], None]
) -> Path:
    weights = tmp_path / "weights"
    bundled_model.write_weights(torch.nn.Linear(1, 1), weights)
    bundle.save(tmp_path / "bundle", description, weights, write_reference)
    return tmp_path / "bundle"
