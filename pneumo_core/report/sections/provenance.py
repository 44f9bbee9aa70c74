"""The section on provenance: the winner's data, code and settings."""

from pneumo_core.report.blocks import Block, Definitions
from pneumo_core.report.findings import Findings
from pneumo_core.report.words import Words


def build(found: Findings, words: Words) -> list[Block]:
    winner = found.winner.description
    origin = winner.origin
    normalisation = winner.normalisation
    pairs = [
        (words(f"provenance.{name}") if words.has(f"provenance.{name}") else name, f"`{value}`")
        for name, value in found.provenance.items()
    ]
    values = {
        "weights": origin.pretrained.origin,
        "weights_sha256": origin.pretrained.sha256 or words("provenance.random_start"),
        "data_sha256": origin.data_sha256,
        "train_sha256": origin.train_sha256,
        "code_version": origin.code_version,
        "parameters": ", ".join(f"{name} = {value}" for name, value in origin.params.items()),
        "input": f"{winner.image_size_px} px, {winner.resize_rule}, "
        f"mean {normalisation.mean}, std {normalisation.std}",
        "views": "; ".join(f"scale {view.scale}, {view.rotation_deg}°" for view in winner.views),
        "calibration": f"{words.number(winner.slope)}, {words.number(winner.intercept)}",
    }
    pairs += [(words(f"provenance.{name}"), f"`{value}`") for name, value in values.items()]
    return [Definitions(tuple(pairs))]
