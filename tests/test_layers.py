"""The arrows between the layers, and what each stage's results depend on."""

import subprocess
import sys
from pathlib import Path

import grimp
import pytest
import yaml

from flows.cli.pipeline import Stage
from pneumo_core.versions import NO_SAY_IN_RESULTS

ROOT = Path(__file__).parent.parent

# The same of the stages' bodies
NO_SAY_IN_TASKS = {
    f"tasks.{name}"
    for name in (
        "device_lock",
        "ledger",
        "paths",
        "graph.dvc_graph",
        "explanations",
        "graph.integrity",
        "graph.provenance",
        "registry.registration",
        "registry.sbom",
        "registry.statement",
        "signing",
        "tracking.connection",
        "tracking.descriptions",
        "tracking.runs",
        "tracking.training_run",
    )
}
LIBRARIES = {  # by the file of versions that DVC compares
    "var/versions/pixels.json": {"PIL", "cv2", "imagecodecs", "pydicom"},
    "var/versions/learning.json": {"onnxruntime", "timm", "torch", "torchvision"},
}
READS_NO_PIXELS = {"split"}  # it imports the names of augmentations beside their code
MOST_FILES = 4  # of one package that a stage names; of more than that it names the folder

STAGES = {
    name: described.get("do", described)  # of foreach
    for name, described in yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"].items()
}
WITHIN = {"external": "evaluate"}  # the section and the folder of another stage
STAGES.pop("versions")  # has no parameters, and a module of the core


def test_import_contracts_hold() -> None:
    lint = Path(sys.executable).with_name("lint-imports")
    result = subprocess.run([lint], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("stage", STAGES)
def test_deps_name_the_code_that_the_stage_uses(stage: str) -> None:
    """A package of which it uses much as a folder, single modules as files."""
    graph = grimp.build_graph("flows", "tasks", "pneumo_core", exclude_type_checking_imports=True)
    body = f"tasks.{stage}"
    used: dict[str, set[str]] = {}
    no_say = NO_SAY_IN_RESULTS | NO_SAY_IN_TASKS
    for module in (graph.find_upstream_modules(body) | {body}) - no_say:
        path = module.replace(".", "/")
        if not (ROOT / path).is_dir():
            used.setdefault(str(Path(path).parent), set()).add(f"{path}.py")
    expected: set[str] = set()
    for folder, files in used.items():
        as_folder = "/" in folder and len(files) > MOST_FILES
        expected |= {folder} if as_folder else files
    expected -= {path for path in expected if str(Path(path).parent) in expected}
    named = {dep for dep in STAGES[stage]["deps"] if dep.startswith(("pneumo_core", "tasks"))}
    assert {dep for dep in named if not dep.startswith("pneumo_core/templates")} == expected


@pytest.mark.parametrize("stage", STAGES)
def test_deps_name_the_versions_of_the_libraries_that_the_stage_uses(stage: str) -> None:
    graph = grimp.build_graph("flows", "tasks", "pneumo_core", include_external_packages=True)
    used = graph.find_upstream_modules(f"tasks.{stage}")
    expected = {file for file, libraries in LIBRARIES.items() if libraries & used}
    named = {dep for dep in STAGES[stage]["deps"] if dep.startswith("var/")}
    assert named == (set() if stage in READS_NO_PIXELS else expected)


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_has_one_name_everywhere(stage: str) -> None:
    described = STAGES[stage]
    whole_sections = {key for key in described["params"] if "." not in key}
    outs = [out for out in described["outs"] if isinstance(out, str)]
    outs += [path for plot in described.get("plots", []) for path in plot]
    section = WITHIN.get(stage, stage)
    folder = "reports" if stage == "report" else f"results/{section}/"
    assert described["cmd"].startswith(f"exec pneumo stage {stage}")
    assert whole_sections <= {stage}
    assert (ROOT / "tasks" / f"{stage}.py").is_file()
    assert all(out.startswith(folder) for out in outs)


def test_the_command_line_knows_the_stages() -> None:
    assert [stage.value for stage in Stage] == ["versions", *STAGES]


def test_every_section_is_a_stage_but_that_of_the_command_monitor() -> None:
    sections = yaml.safe_load((ROOT / "params.yaml").read_text()).keys()
    assert sections - STAGES.keys() == {"monitor"}
    assert STAGES.keys() - WITHIN.keys() <= sections


def test_evaluate_follows_its_section_but_for_the_external_sets() -> None:
    section = yaml.safe_load((ROOT / "params.yaml").read_text())["evaluate"]
    followed = {key for key in STAGES["evaluate"]["params"] if key.startswith("evaluate.")}
    assert followed == {f"evaluate.{key}" for key in section.keys() - {"external"}}


@pytest.mark.slow
def test_core_runs_where_the_pipeline_is_not_installed() -> None:
    """Every module of the core imports where the packages of the pipeline cannot be imported."""
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
    code = "import sys, flows.cli.app, pneumo_core.params; print([m for m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for heavy in ("torch", "pandas", "numpy", "prefect", "mlflow", "dvc", "great_expectations"):
        assert f"'{heavy}'" not in out.stdout


def test_the_stage_versions_writes_what_the_other_stages_depend_on() -> None:
    outs = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]["versions"]["outs"]
    assert {path for out in outs for path in out} == LIBRARIES.keys()
