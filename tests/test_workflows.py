"""The workflows of GitHub: pinned actions, least rights, and commands that are there."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent
FILES = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PINNED = re.compile(r"uses: [\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")


@pytest.fixture(params=FILES, ids=lambda path: path.name)
def workflow(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


def _jobs(path: Path) -> dict[str, Any]:
    jobs: dict[str, Any] = yaml.safe_load(path.read_text())["jobs"]
    return jobs


def test_actions_are_pinned_by_commit(workflow: Path) -> None:
    used = [line for line in workflow.read_text().splitlines() if "uses:" in line]
    assert used
    assert [line for line in used if not PINNED.search(line)] == []


def test_an_action_has_one_commit_everywhere() -> None:
    lines = [line for path in FILES for line in re.findall(r"uses: (\S+)", path.read_text())]
    assert len({line.partition("@")[0] for line in lines}) == len(set(lines))


def test_only_a_job_that_pushes_may_write(workflow: Path) -> None:
    stated = yaml.safe_load(workflow.read_text())
    whole = stated["permissions"]
    for job in stated["jobs"].values():
        pushes = any("make branch" in step.get("run", "") for step in job["steps"])
        assert job.get("permissions", whole) == {"contents": "write" if pushes else "read"}
    assert "write" not in str(whole)


def test_what_is_cached_holds_no_film() -> None:
    """A pull request can read the caches of main."""
    for path in FILES:
        for job in _jobs(path).values():
            kept = [step["with"]["path"] for step in job["steps"] if "cache@" in str(step)]
            assert set(kept) <= {"~/.cache/uv"}


def test_each_step_is_a_target_of_the_makefile(workflow: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for job in _jobs(workflow).values():
        for step in job["steps"]:
            command = step.get("run", "make help")
            if command.startswith("make "):
                asked = [word for word in command.split()[1:] if re.fullmatch("[a-z-]+", word)]
                assert set(asked) <= targets
            else:  # it has a purpose in the workflow alone
                assert "GITHUB_" in command
