"""The arrows between the layers, and what each stage's results depend on."""

import subprocess
import sys
from pathlib import Path

import grimp
import pytest
import yaml

ROOT = Path(__file__).parent.parent

# What carries, shows or reports results without having a say in them.
NO_SAY_IN_RESULTS = {
    f"pneumo_core.{name}"
    for name in ("allocation", "atomic", "errors", "events", "params", "progress")
} | {
    f"tasks.{name}"
    for name in (
        "device_lock",
        "dvc_graph",
        "ledger",
        "places",
        "provenance",
        "registration",
        "runs",
        "tracking",
        "training_run",
    )
}

STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]


def test_import_contracts_hold() -> None:
    lint = Path(sys.executable).with_name("lint-imports")
    result = subprocess.run([lint], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("stage", STAGES)
def test_deps_name_the_modules_that_the_stage_uses(stage: str) -> None:
    graph = grimp.build_graph("flows", "tasks", "pneumo_core")
    body = f"tasks.{stage}"
    used = (graph.find_upstream_modules(body) | {body}) - NO_SAY_IN_RESULTS
    used -= {"pneumo_core", "tasks"}
    named = {dep for dep in STAGES[stage]["deps"] if dep.endswith(".py")}
    assert named == {_file_of(module) for module in used}


def _file_of(module: str) -> str:
    path = module.replace(".", "/")
    return f"{path}/__init__.py" if (ROOT / path).is_dir() else f"{path}.py"


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_has_one_name_everywhere(stage: str) -> None:
    described = STAGES[stage]
    whole_sections = {key for key in described["params"] if "." not in key}
    outs = [out for out in described["outs"] if isinstance(out, str)]
    folder = "reports" if stage == "report" else f"results/{stage}/"
    assert described["cmd"].startswith(f"exec pneumo stage {stage}")
    assert whole_sections <= {stage}
    assert (ROOT / "tasks" / f"{stage}.py").is_file()
    assert all(out.startswith(folder) for out in outs)


def test_every_section_is_a_stage_but_that_of_the_command_monitor() -> None:
    sections = yaml.safe_load((ROOT / "params.yaml").read_text()).keys()
    assert sections - STAGES.keys() == {"monitor"}
    assert STAGES.keys() <= sections


@pytest.mark.slow
def test_core_runs_where_only_the_base_dependencies_are() -> None:
    """Every module of the core imports with the optional packages made impossible to import."""
    code = f"""
import importlib, pkgutil, sys
for name in ("prefect", "mlflow", "dvc", "great_expectations", "boto3", "fastapi"):
    sys.modules[name] = None
sys.path.insert(0, {str(ROOT)!r})
import pneumo_core
for module in pkgutil.walk_packages(pneumo_core.__path__, "pneumo_core."):
    importlib.import_module(module.name)
"""
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr


def test_the_light_modules_stay_light() -> None:
    """`--help` and every stage start with these: no tensor or table library comes along."""
    code = "import sys, flows.cli, pneumo_core.params; print([m for m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for heavy in ("torch", "pandas", "numpy", "prefect", "mlflow", "dvc", "great_expectations"):
        assert f"'{heavy}'" not in out.stdout
