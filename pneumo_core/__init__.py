"""Computing on chest films: images, learning, metrics. Knows no orchestrator and no tracker.

Five functions serve a notebook. They are imported when they are first used; two need no tables.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pneumo_core.inference.api import certify, compare, evaluate
    from pneumo_core.inference.files import load_model, predict

__all__ = ["certify", "compare", "evaluate", "load_model", "predict"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = "files" if name in ("load_model", "predict") else "api"
    return getattr(import_module(f"pneumo_core.inference.{module}"), name)
