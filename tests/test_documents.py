"""The documents say what is there."""

import ast
import re
import shutil
import subprocess
import tomllib
from importlib.metadata import metadata
from itertools import chain
from pathlib import Path

import pytest
import yaml

from flows.cli.app import app
from flows.runs import params_file
from pneumo_core import params
from pneumo_core.promotion import policy

ROOT = Path(__file__).parent.parent
PATHS = [*ROOT.glob("README*.md"), ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]
PAGES = {str(path.relative_to(ROOT)): path.read_text() for path in sorted(PATHS)}
ALL = "\n".join(PAGES.values())
ARCHITECTURE = (ROOT / "ARCHITECTURE.md").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
COMMANDS = {command.callback.__name__ for command in app.registered_commands if command.callback}
GROUPS = {group.name: group.typer_instance for group in app.registered_groups}


def test_pages_name_every_command_and_no_other() -> None:
    named = set(re.findall(r"(?:`|^ *)pneumo ([a-z]+)", ALL, re.MULTILINE))
    assert named >= COMMANDS | GROUPS.keys()
    assert named <= COMMANDS | GROUPS.keys() | {"stage"}


@pytest.mark.parametrize("group", GROUPS)
def test_pages_name_every_command_of_a_group_and_no_other(group: str) -> None:
    named = set(re.findall(rf"(?:`|^ *)pneumo {group} ([a-z][a-z-]*)", ALL, re.MULTILINE))
    assert named == {command.name for command in GROUPS[group].registered_commands}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    folder = (ROOT / page).parent
    for link in re.findall(r"\]\(([^)]+)\)", PAGES[page]):
        target, _, heading = link.partition("#")
        there = folder / target if target else ROOT / page
        assert there.exists(), link
        if heading:
            text = there.read_text().lower()
            assert f"## {heading.replace('-', ' ')}" in text, link


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:`|^)make ([\w-]+)", ALL, re.MULTILINE)) <= targets


@pytest.mark.slow  # each model of a profile is built
@pytest.mark.parametrize("path", sorted((ROOT / "profiles").glob("*.yaml")), ids=lambda p: p.stem)
def test_every_profile_gives_valid_parameters(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("profiles", "sources", "mlflow"):
        (tmp_path / name).symlink_to(ROOT / name)
    shutil.copy(ROOT / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    params_file.rewrite(path.stem, [])
    written = params.load(tmp_path / "params.yaml")
    on_phantom = path.stem == "phantom"  # the others are for real films
    for role in written.promote.roles:
        asked = policy.load(ROOT / written.promote.policies / f"{role}.yaml")
        assert asked.drawn_films_only is on_phantom


def test_the_default_parameters_are_the_phantom_profile() -> None:
    phantom = (ROOT / "profiles" / "phantom.yaml").read_text()
    assert yaml.safe_load((ROOT / "params.yaml").read_text()) == yaml.safe_load(phantom)


def test_benchmarks_in_documents_exist_and_have_the_options_named() -> None:
    texts = [*PAGES.values(), *(path.read_text() for path in (ROOT / "docs/adr").glob("*.md"))]
    named = re.findall(r"(?<!:)benchmarks/(\w+\.(?:py|sh))([^`]*)`", "\n".join(texts))
    assert len(named) > 20
    for script, arguments in named:
        code = (ROOT / "benchmarks" / script).read_text()
        assert all(option in code for option in re.findall(r"--[a-z-]+", arguments)), script


def test_the_readme_of_the_benchmarks_lists_them_all() -> None:
    listed = re.findall(r"^\| `(\w+\.\w+)`", (ROOT / "benchmarks/README.md").read_text(), re.M)
    there = {path.name for path in (ROOT / "benchmarks").iterdir() if path.is_file()}
    assert sorted([*listed, "README.md"]) == sorted(there)


def test_keys_in_pages_are_parameters() -> None:
    known = yaml.safe_load((ROOT / "params.yaml").read_text())
    for section, key in re.findall(r"(?<![/\w])(\w+)\.(\w+)(?==|`)", ALL):
        if section in known:
            assert key in known[section]


def test_architecture_lists_every_folder_and_package() -> None:
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    folders = {path.split("/")[0] for path in listed if "/" in path and not path.startswith(".")}
    packages = {path.rpartition("/")[0] for path in listed if path.endswith("/__init__.py")}
    named = re.findall(r"^\| `([\w/]+)/`", ARCHITECTURE, re.MULTILINE)
    assert sorted(named) == sorted(folders | packages)


def test_architecture_draws_the_layers_that_are_enforced() -> None:
    contracts = PROJECT["tool"]["importlinter"]["contracts"]
    (core,) = [each for each in contracts if each.get("containers") == ["pneumo_core"]]
    drawn = [line.strip() for line in ARCHITECTURE.splitlines()]
    for layer in core["layers"]:
        if any((ROOT / "pneumo_core" / name).is_dir() for name in layer.split(" | ")):
            assert layer in drawn


def test_the_ways_lead_through_what_exists() -> None:
    ways = ARCHITECTURE.partition("## The way of a film")[2].partition("## What keeps")[0]
    names = re.findall(r"`([^`]+)`", ways)
    assert names
    for name in names:
        assert (ROOT / "pneumo_core" / name).exists() or (ROOT / name).exists(), name


def test_the_licence_is_the_stated_one() -> None:
    assert PROJECT["project"]["license"] == "MIT"
    assert (ROOT / "LICENSE").read_text().startswith("MIT License")


@pytest.mark.parametrize("name", ["requirements.lock", "serve.lock", "ray.lock"])
def test_a_lock_has_hashes_and_no_address(name: str) -> None:
    lock = (ROOT / name).read_text()
    assert "://" not in lock
    assert lock.count("--hash=sha256:") > 100


def _licence(package: str) -> str:
    stated = metadata(package)
    classifiers = [
        text for text in stated.get_all("Classifier") or [] if text.startswith("License")
    ]
    named = ", ".join(text.rpartition(" :: ")[2] for text in classifiers)
    return stated.get("License-Expression") or named or stated["License"]


def test_dependencies_are_listed_with_a_reason_and_their_licence() -> None:
    project = PROJECT["project"]
    extras = project["optional-dependencies"].values()
    needed = [re.split(r"[\[<>=]", each)[0] for each in chain(project["dependencies"], *extras)]
    rows = re.findall(r"^\| (\S+) \| (.+) \| (.+) \|$", PAGES["docs/dependencies.md"], re.MULTILINE)
    assert [package for package, _, _ in rows if package not in ("package", "---")] == needed
    left_out = project["optional-dependencies"]["ray"]  # `make install` does
    for package, _, licence in rows:
        if package in needed and not any(each.startswith(package) for each in left_out):
            assert licence == _licence(package), package


def _docstrings(path: Path) -> list[str]:
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, documented)]
    return [text for node in nodes if (text := ast.get_docstring(node))]


def test_no_docstring_needs_its_name_to_be_a_sentence() -> None:
    """'Of 1,000, whole ones.' has no verb and no subject."""
    code = [
        path for top in ("pneumo_core", "tasks", "flows") for path in (ROOT / top).rglob("*.py")
    ]
    found = {path.name: text for path in code for text in _docstrings(path) if text[:3] == "Of "}
    assert len(code) > 200
    assert found == {}
