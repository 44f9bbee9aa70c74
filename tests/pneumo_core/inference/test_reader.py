import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from pneumo_core.arrays import Images
from pneumo_core.data.images import decode
from pneumo_core.errors import BundleError
from pneumo_core.evaluation.scoring import Scorer
from pneumo_core.inference.reader import Reader
from pneumo_core.models import bundle


@pytest.fixture(scope="module")
def reading(small_bundle: Path) -> Reader:
    return Reader.load(small_bundle, "reading_aid")


@pytest.fixture(scope="module")
def films(
    reading: Reader, small_film: Callable[[int], Any], encode: Callable[..., bytes]
) -> Images:
    return np.stack([reading.admit(encode(small_film(number))) for number in range(300, 310)])


def test_predictions_are_the_scorers_probabilities_at_the_operating_point(
    reading: Reader, small_bundle: Path, films: Images
) -> None:
    scorer = Scorer.load(small_bundle)
    expected = scorer.probabilities(scorer.logits(films))
    predictions = reading.predict(films)
    assert [prediction.probability for prediction in predictions] == expected.tolist()
    assert {prediction.decision for prediction in predictions} == {"NORMAL", "PNEUMONIA"}
    for prediction in predictions:
        assert (prediction.decision == "PNEUMONIA") == (prediction.probability >= reading.threshold)
        assert prediction.rejection_reason is None
    screening = Reader.load(small_bundle, "screening")
    assert {prediction.decision for prediction in screening.predict(films)} == {"PNEUMONIA"}


def test_film_with_a_high_ood_score_is_rejected(reading: Reader, films: Images) -> None:
    strictest = replace(reading, reference=replace(reading.reference, max_ood_score=0.0))
    (prediction,) = strictest.predict(films[:1])
    assert prediction.rejection_reason is not None
    assert prediction.rejection_reason.startswith("not a chest film: it differs too much")


def test_meaning_states_what_happened_on_validation(reading: Reader) -> None:
    """Its labels are just what the model says of them, so every reading is right."""
    found = reading.on_validation
    assert found.sensitivity.value == found.specificity.value == 1
    text = f"100.0% (95% interval {found.sensitivity.ci_low:.1%} to 100.0%)"
    assert f"{text} of the films with pneumonia read as PNEUMONIA" in reading.meaning
    assert f"where {found.prevalence:.0%} of films have pneumonia" in reading.meaning
    assert f"A probability of {reading.threshold:.3f} or more reads as PNEUMONIA" in reading.meaning


def test_explanation_is_the_film_with_colour_where_something_speaks(
    reading: Reader, films: Images
) -> None:
    pngs = reading.explain(films[:2])
    for png, pixels in zip(pngs, films, strict=False):
        overlay = decode(png, 10**6)
        assert (overlay.width_px, overlay.height_px, overlay.colour_mode) == (64, 64, "RGB")
        assert (overlay.pixels != pixels).any()


def test_bundle_without_the_operating_point_is_refused(small_bundle: Path) -> None:
    with pytest.raises(BundleError, match="no operating point triage, only reading_aid, screening"):
        Reader.load(small_bundle, "triage")


def test_model_that_gives_no_number_is_refused(small_bundle: Path, tmp_path: Path) -> None:
    model = onnx.load(small_bundle / bundle.ONNX)
    (bias,) = (each for each in model.graph.initializer if each.name.endswith("classifier.bias"))
    bias.CopyFrom(onnx.numpy_helper.from_array(np.full(2, np.nan, np.float32), bias.name))
    onnx.save(model, tmp_path / bundle.ONNX)
    description = bundle.read_description(small_bundle)
    bundle.save(
        tmp_path / "broken",
        description,
        small_bundle / bundle.WEIGHTS,
        lambda path: shutil.copy(small_bundle / bundle.REFERENCE, path) and None,
        tmp_path / bundle.ONNX,
    )
    with pytest.raises(BundleError, match="gives nan for a film"):
        Reader.load(tmp_path / "broken", "reading_aid")
