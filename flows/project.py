"""Where the project's files are: relative to its root, in which every command runs."""

from pathlib import Path

PARAMS = Path("params.yaml")
PROFILES = Path("profiles")
BASE_PROFILE = "phantom"
