"""Write a network of torch as a file of ONNX."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from pneumo_core.models.onnx_session import NUM_ROWS

OPSET = 17


def write(
    network: nn.Module, example: torch.Tensor, input_name: str, outputs: Sequence[str], path: Path
) -> None:
    """Write a network in eval mode, whose input and outputs have any number of rows.

    Raises:
        Exception: of torch's own, unrelated kinds, where it cannot be exported.
    """
    with warnings.catch_warnings():  # of shapes that become constants, and of the exporter's age
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (example,),
            path,
            dynamo=False,  # the same bytes each time, without onnxscript
            opset_version=OPSET,
            input_names=[input_name],
            output_names=list(outputs),
            dynamic_axes={name: {0: NUM_ROWS} for name in (input_name, *outputs)},
        )
