from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[3]


@pytest.fixture
def project_params(tmp_path: Path) -> Path:
    """`params.yaml` of a project that states one prevalence of its own."""
    content = yaml.safe_load((ROOT / "params.yaml").read_text("utf-8"))
    content["evaluate"]["prevalences"] = [0.03]
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(content), "utf-8")
    return path
