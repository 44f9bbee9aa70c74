from dataclasses import replace
from typing import Any

from pneumo_core.models.bundle import PretrainedWeights
from pneumo_core.report.blocks import Definitions
from pneumo_core.report.findings import Findings
from pneumo_core.report.sections import provenance
from pneumo_core.report.words import Words


def _pairs(found: Findings) -> dict[str, str]:
    (block,) = provenance.build(found, Words("en"))
    assert isinstance(block, Definitions)
    return dict(block.pairs)


def test_a_random_start_is_said_to_be_one(made: Any) -> None:
    words, name = Words("en"), Words("en")("provenance.weights_sha256")
    assert _pairs(made.found)[name] == f"`{'f' * 64}`"
    cell = made.found.winner
    weights = PretrainedWeights("none", "none", None)
    origin = cell.description.origin.model_copy(update={"pretrained": weights})
    random = replace(cell, description=cell.description.model_copy(update={"origin": origin}))
    found = replace(made.found, cells=(random,))
    assert _pairs(found)[name] == f"`{words('provenance.random_start')}`"
