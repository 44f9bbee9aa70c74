"""Write a model as `model.onnx`, and compare the file with torch on films.

The file takes films as gray bytes [N, size, size], has their normalisation inside, and gives
`OUTPUTS`. Where average pooling and one linear layer follow the last map, the evidence of
HiResCAM (`hirescam.py`) is the map under the weights of the class, without a gradient. Whether a
model is of this form is found by comparing.

Shape letters: B batch, C channels, H height, W width.
"""

import copy
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from importlib.metadata import version
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime
import torch
from torch import nn

from pneumo_core.arrays import Images
from pneumo_core.errors import EvaluationError
from pneumo_core.evaluation.hirescam import contributions, last_spatial_layer
from pneumo_core.evaluation.onnx_engine import (
    EVIDENCE,
    FEATURE_MAP,
    FEATURES,
    FILMS,
    LOGITS,
    OUTPUTS,
)
from pneumo_core.labels import POSITIVE
from pneumo_core.models import onnx_file, onnx_session
from pneumo_core.models.architectures import first_fault
from pneumo_core.models.bundle import Normalisation, OnnxRecord
from pneumo_core.models.compute import full_float32, to_input
from pneumo_core.models.onnx_session import Floats32
from pneumo_core.models.strategies import classifiers

MADE_WITH = ("torch", "onnx", "onnxruntime")
MAPS = (FEATURE_MAP, EVIDENCE)
MAX_FILMS, BATCH_SIZE = 24, 4  # that are compared; at a time, with all activations
TOLERANCE = 1e-4  # of a logit, and of the largest value of the features
MAP_TOLERANCE = 10 * TOLERANCE  # of the largest value of a map: one cell, where features are means
TINY = float(np.finfo(np.float32).tiny)  # for an output that is 0 everywhere

Outputs = dict[str, Floats32]


def export(
    model: nn.Module, normalisation: Normalisation, films: Images, path: Path
) -> OnnxRecord | str:
    """Write the file and return what is known of it, or why there is none.

    Args:
        films: of validation, [N, H, W]; the file is compared with torch on some of them.
    """
    films = films[np.linspace(0, len(films) - 1, min(len(films), MAX_FILMS)).astype(int)]
    try:
        exported = _Exported(copy.deepcopy(model).cpu().eval(), normalisation, films[:1])
        expected = _in_torch(exported, films)
        onnx_file.write(exported, torch.from_numpy(films[:1]), FILMS, list(expected), path)
        alone = path.read_bytes()  # whatever the exporter has put beside it is not in the bundle
        found = [read(alone, films, list(expected)) for read in (_one_by_one, _in_batches)]
    except Exception as error:  # torch and ONNX Runtime raise their own, unrelated kinds
        path.unlink(missing_ok=True)
        return f"it cannot be exported ({first_fault(error)})"
    differences = {
        name: max(_difference(name, each[name], expected[name]) for each in found)
        for name in expected
    }
    for name, difference in differences.items():
        if not difference <= (MAP_TOLERANCE if name in MAPS else TOLERANCE):
            path.unlink()
            return f"its {name} differ from torch's by {difference:.2g}"
    return OnnxRecord(
        opset=onnx_file.OPSET,
        versions={library: version(library) for library in MADE_WITH},
        num_films=len(films),
        tolerance=TOLERANCE,
        max_difference=differences,
    )


class _Exported(nn.Module):
    """The model with films as gray bytes [B, H, W] in, and its outputs by name out."""

    def __init__(self, model: nn.Module, normalisation: Normalisation, film: Images) -> None:
        super().__init__()
        self.model, self.normalisation = model, normalisation
        self.map_layer: nn.Module | None = None
        self.map_weight: torch.Tensor | None = None  # [C, 1, 1], where it gives the evidence
        with suppress(EvaluationError):  # no map
            x_BCHW = to_input(torch.from_numpy(film), normalisation)
            self.map_layer = last_spatial_layer(model, x_BCHW)

    def forward(self, films_BHW: torch.Tensor) -> dict[str, torch.Tensor]:
        found: dict[str, torch.Tensor] = {}

        def keep_features(_: object, inputs: tuple[torch.Tensor, ...]) -> None:
            found[FEATURES] = inputs[0].flatten(1)

        def keep_map(_: object, __: object, output_BCHW: torch.Tensor) -> torch.Tensor:
            found[FEATURE_MAP] = output_BCHW
            return output_BCHW.clone()  # a ReLU in place may follow

        with ExitStack() as hooks:
            head = classifiers(self.model)[0]
            hooks.enter_context(head.register_forward_pre_hook(keep_features))
            if self.map_layer is not None:
                hooks.enter_context(self.map_layer.register_forward_hook(keep_map))
            found[LOGITS] = self.model(to_input(films_BHW, self.normalisation))
        if self.map_weight is not None:
            found[EVIDENCE] = (found[FEATURE_MAP] * self.map_weight).sum(1)
        return {name: found[name] for name in OUTPUTS if name in found}


@full_float32()
def _in_torch(exported: _Exported, films: Images) -> Outputs:
    """Return what torch gives, and set `map_weight` where that is equal to the gradient."""
    batches = [torch.from_numpy(part) for part in _batches(films)]
    with torch.no_grad():
        expected = _joined([exported(films_BHW).values() for films_BHW in batches])
    if FEATURE_MAP not in expected:
        return expected
    model, normalisation = exported.model, exported.normalisation
    evidence_NHW = np.concatenate(
        [contributions(model, to_input(part, normalisation), POSITIVE) for part in batches]
    )
    head, map_NCHW = classifiers(model)[0], expected[FEATURE_MAP]
    if isinstance(head, nn.Linear) and head.in_features == map_NCHW.shape[1]:
        weight_KC = head.weight.detach() / map_NCHW[0, 0].size  # the mean over the cells
        weight_C11 = (weight_KC[POSITIVE] - weight_KC[1 - POSITIVE])[:, None, None]
        by_weight = (map_NCHW * weight_C11.numpy()).sum(1)
        if _difference(EVIDENCE, by_weight, evidence_NHW) <= TOLERANCE:
            exported.map_weight = weight_C11
            expected[EVIDENCE] = evidence_NHW
    return expected


def _one_by_one(file: bytes, films: Images, names: list[str]) -> Outputs:
    """Return what ONNX Runtime gives as pneumo reads films."""
    return _joined([onnx_session.run(onnx_session.open_session(file), names, films)])


def _in_batches(file: bytes, films: Images, names: list[str]) -> Outputs:
    """Return what it gives as other programs may read them."""
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    return _joined([session.run(names, {FILMS: part}) for part in _batches(films)])


def _batches(films: Images) -> list[Images]:
    return np.array_split(films, -(-len(films) // BATCH_SIZE))


def _joined(batches: list[Iterable[npt.ArrayLike]]) -> Outputs:
    """Return the outputs by name; each batch has the first of `OUTPUTS`."""
    return dict(zip(OUTPUTS, map(np.concatenate, zip(*batches, strict=True)), strict=False))


def _difference(name: str, found: Floats32, expected: Floats32) -> float:
    """Return the largest one: of a logit, or as a share of the largest value of another output."""
    scale = 1.0 if name == LOGITS else max(float(np.abs(expected).max()), TINY)
    return float(np.abs(found - expected).max()) / scale
