import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]


def test_killed_processes_end_with_the_same_weights() -> None:
    """Four of the moments; `benchmarks/kill_and_resume.py` takes twenty."""
    script = ROOT / "benchmarks" / "kill_and_resume.py"
    result = subprocess.run(
        [sys.executable, script, "--kills", "4"], capture_output=True, text=True, check=False
    )
    assert "4 of 4 end with the same weights" in result.stdout, result.stdout + result.stderr
