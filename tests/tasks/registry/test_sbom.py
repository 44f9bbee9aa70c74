import json
from importlib.metadata import version
from pathlib import Path

import pytest

from tasks.registry import sbom
from tests.tasks.registry.test_rollback import FULL, Promote, in_registry


@pytest.mark.usefixtures("project")
def test_a_version_tells_what_was_installed(promote_cell: Promote) -> None:
    promote_cell(FULL)
    found = json.loads((in_registry("1") / sbom.SBOM).read_text())
    assert (found["bomFormat"], found["specVersion"]) == ("CycloneDX", "1.6")
    parts = {part["name"]: part for part in found["components"]}
    assert len(parts) == len(found["components"]) == len(sbom.installed()) > 100
    assert parts["torch"]["purl"] == f"pkg:pypi/torch@{version('torch')}"
    assert parts["numpy"]["licenses"][0]["license"]["name"].startswith("BSD-3-Clause")
    assert found["metadata"]["component"]["type"] == "machine-learning-model"
    assert str(Path.cwd()) not in json.dumps(found)
