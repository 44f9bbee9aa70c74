"""What is imported is declared: by the base for the core, by an extra for the rest."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
OUR_OWN = {"flows", "tasks", "pneumo_core"}
DISTRIBUTIONS = packages_distributions()


def _modules(folder: str) -> Iterator[tuple[Path, str]]:
    """Yield each file with the absolute name of each module that it imports."""
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                yield from ((path, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                yield path, node.module


def _declared(*extras: str) -> set[str]:
    optional = PROJECT["optional-dependencies"]
    lines = [*PROJECT["dependencies"], *(line for extra in extras for line in optional[extra])]
    return {_normal(re.split(r"[\[<>=;! ]", line)[0]) for line in lines}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize(
    ("folder", "extras"),
    [
        ("pneumo_core", ("train",)),
        ("tasks", ("serve", "train", "ops")),
        ("flows", ("serve", "train", "ops", "ray")),
        ("tests", ("serve", "train", "ops", "ray", "dev")),
    ],
)
def test_what_is_imported_is_declared(folder: str, extras: tuple[str, ...]) -> None:
    declared = _declared(*extras)
    missing = set()
    for path, module in _modules(folder):
        top = module.split(".")[0]
        if top in sys.stdlib_module_names or top in OUR_OWN | {folder}:
            continue
        names = {_normal(name) for name in DISTRIBUTIONS.get(top, [top])}
        if not names & declared:
            missing.add(f"{path.relative_to(ROOT)}: {module} of {', '.join(sorted(names))}")
    assert not missing
