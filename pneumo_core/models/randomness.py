"""Random draws and how exactly they repeat; the process around is left as it was."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from pneumo_core.models.compute import Device

CUBLAS = "CUBLAS_WORKSPACE_CONFIG"  # without it cuBLAS sums in an order that varies


@contextmanager
def seeded(seed: int, device: Device) -> Iterator[None]:
    """Seed the draws inside, and put the random state back afterwards."""
    devices = [torch.cuda.current_device()] if device.is_cuda else []
    with torch.random.fork_rng(devices):
        seed_draws(seed, device)
        yield


def seed_draws(seed: int, device: Device) -> None:
    """Seed what random layers draw on a device."""
    if device.is_cuda:
        torch.manual_seed(seed)
    else:  # `torch.manual_seed` takes a millisecond more, for GPUs that are not there
        torch.default_generator.manual_seed(seed)


@contextmanager
def deterministic(enabled: bool) -> Iterator[None]:
    """Repeat the same bits on the same GPU, slower; an operation that cannot is an error.

    On the CPU results are bit-equal without it.
    """
    if not enabled:
        yield
        return
    cudnn = torch.backends.cudnn
    algorithms = torch.are_deterministic_algorithms_enabled()
    only_warn = torch.is_deterministic_algorithms_warn_only_enabled()
    flags, workspace = (cudnn.deterministic, cudnn.benchmark), os.environ.get(CUBLAS)
    os.environ.setdefault(CUBLAS, ":4096:8")
    torch.use_deterministic_algorithms(True)
    cudnn.deterministic, cudnn.benchmark = True, False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(algorithms, warn_only=only_warn)
        cudnn.deterministic, cudnn.benchmark = flags
        if workspace is None:
            del os.environ[CUBLAS]
