import pytest
import torch

from pneumo_core.models.compute import Device


@pytest.mark.parametrize(
    ("size_px", "expected"), [(64, 64), (224, 24), (256, 18), (512, 4), (4096, 1)]
)
def test_larger_films_are_read_fewer_at_a_time(size_px: int, expected: int) -> None:
    assert Device(torch.device("cpu"), False).read_batch_size(size_px) == expected
