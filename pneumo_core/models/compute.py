"""The device that computes, its precision, and batches of films as tensors.

Shape letters: B batch, C channels, H height, W width.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from timm.layers.adaptive_avgmax_pool import SelectAdaptivePool2d
from torch import nn

from pneumo_core.arrays import Images
from pneumo_core.models.bundle import Normalisation
from pneumo_core.params import Precision

# At a time, where nothing trains; on the CPU more are no faster, and take the memory of a service
MAX_READ_FILMS, MAX_READ_PIXELS = 64, 24 * 224**2
MIN_SAFE_CHANNELS = 16  # see `guard_backward`
RESIDENT_SHARE = 0.4  # of the free GPU memory, for inputs kept there; steps need the rest


@dataclass(frozen=True)
class Device:
    """`bfloat16`: whether layers run in bfloat16, where that is as good as float32."""

    torch_device: torch.device
    bfloat16: bool

    @contextmanager
    def autocast(self) -> Iterator[None]:
        """Compute in bfloat16 where this device does so, and otherwise in full float32."""
        with full_float32(), torch.autocast(self.torch_device.type, torch.bfloat16, self.bfloat16):
            yield

    @property
    def precision(self) -> str:
        return "bfloat16" if self.bfloat16 else "float32"

    @property
    def is_cuda(self) -> bool:
        return self.torch_device.type == "cuda"

    def has_room_for(self, num_bytes: int) -> bool:
        """Return whether inputs of this size can stay on the GPU; on the CPU always False."""
        return self.is_cuda and num_bytes <= RESIDENT_SHARE * torch.cuda.mem_get_info()[0]

    def read_batch_size(self, size_px: int) -> int:
        """Return how many films of this side to run at a time where nothing trains."""
        if self.is_cuda:
            return MAX_READ_FILMS
        return max(1, min(MAX_READ_FILMS, MAX_READ_PIXELS // size_px**2))

    def place(self, model: Any) -> Any:
        """Return the model on this device, with the channels of its images last in memory."""
        model = model.to(self.torch_device)
        for tensor in (*model.parameters(), *model.buffers()):
            tensor.data = channels_last(tensor.data)
        return model

    def send(self, tensor: torch.Tensor) -> torch.Tensor:
        """Send to this device without waiting for the end of the transfer."""
        if not self.is_cuda:
            return tensor
        return tensor.pin_memory().to(self.torch_device, non_blocking=True)


_lock = threading.Lock()
_depth = 0
_before: tuple[bool, bool]


@contextmanager
def full_float32() -> Iterator[None]:
    """Keep an Ampere or later GPU from rounding float32 to TensorFloat-32.

    The flags are the process's, so all threads that compute share them; the last one that leaves
    puts them back.
    """
    global _depth, _before
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    with _lock:
        if _depth == 0:
            _before = (matmul.allow_tf32, cudnn.allow_tf32)
            matmul.allow_tf32 = cudnn.allow_tf32 = False
        _depth += 1
    try:
        yield
    finally:
        with _lock:
            _depth -= 1
            if _depth == 0:
                matmul.allow_tf32, cudnn.allow_tf32 = _before


def channels_last(x: torch.Tensor) -> torch.Tensor:
    """Return [B, C, H, W] with the channels last in memory; anything else as it is."""
    return x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x


def guard_backward(model: nn.Module) -> None:
    """Give convolutions that crash the process on the CPU a layout in which they do not.

    torch 2.15 with oneDNN writes beyond its memory in the weight gradient of a strided 1 x 1
    convolution of few channels whose tensors have the channels last (RepVGG's first layer).
    """
    for layer in model.modules():
        if (
            isinstance(layer, nn.Conv2d)
            and layer.kernel_size == (1, 1)
            and layer.stride != (1, 1)
            and layer.in_channels < MIN_SAFE_CHANNELS
        ):
            layer.weight.data = layer.weight.data.clone(memory_format=torch.contiguous_format)
            layer.register_forward_pre_hook(
                lambda _, inputs: (inputs[0].clone(memory_format=torch.contiguous_format),)
            )


def lighten_backward(model: nn.Module) -> None:
    """Make the backward pass on the CPU faster; values change by rounding only.

    The gradient of the mean over a map has not the channels last, and batch norm took 14 times as
    long with it. A ReLU6 in place copies its input for the backward pass.
    """
    for layer in model.modules():
        if isinstance(layer, SelectAdaptivePool2d):
            layer.register_forward_pre_hook(_channels_last_gradient)
        elif isinstance(layer, nn.Hardtanh):
            layer.inplace = False


def _channels_last_gradient(_: nn.Module, inputs: tuple[Any, ...]) -> None:
    (x,) = inputs
    if x.requires_grad and x.is_contiguous(memory_format=torch.channels_last):
        x.register_hook(channels_last)


def choose_device(precision: Precision) -> Device:
    """Return the GPU, or else the CPU, which computes in float32.

    `auto` is bfloat16 where the GPU has it. On a CPU, Lite0 was faster in float32: ONNX Runtime
    reads films in it, and some processors that have bfloat16 are slower in it.
    """
    if not torch.cuda.is_available():
        return Device(torch.device("cpu"), False)
    has_bfloat16 = torch.cuda.is_bf16_supported(including_emulation=False)
    wanted = precision == "bfloat16" or (precision == "auto" and has_bfloat16)
    return Device(torch.device("cuda"), wanted)


def to_batch(images: Images, normalisation: Normalisation, device: Device) -> torch.Tensor:
    """Return gray bytes [B, H, W] as a float32 tensor [B, 3, H, W], channels last."""
    return to_input(torch.from_numpy(np.array(images)).to(device.torch_device), normalisation)


def to_input(gray_BHW: torch.Tensor, normalisation: Normalisation) -> torch.Tensor:
    """Return what `to_batch` returns, from bytes that are on the device already."""
    x_BHW = (gray_BHW.float() / 255 - normalisation.mean) / normalisation.std
    return channels_last(x_BHW.unsqueeze(1).expand(-1, 3, -1, -1))
