"""Names of array types, by what the arrays hold."""

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Gray = npt.NDArray[np.uint8]  # [H, W]
Images = npt.NDArray[np.uint8]  # [N, H, W]


class Stack(Protocol):
    """Anything that is indexed like `Images`: an array, or films packed on disk."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    def __len__(self) -> int: ...
    def __getitem__(self, rows: Any, /) -> Any: ...
