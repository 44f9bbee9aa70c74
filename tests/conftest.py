"""Settings of all tests; the fixtures are in `fixtures/`, by subject."""

import os

import pytest

from tasks import telemetry_off

pytest_plugins = [
    "tests.fixtures.films",
    "tests.fixtures.projects",
    "tests.fixtures.servers",
    "tests.fixtures.small_projects",
    "tests.fixtures.team",
]

# What means whole projects, data, servers or browsers
SLOW = {"make_project", "archive", "team", "endpoint", "browser", "empty_store"}

telemetry_off.apply()
# pytest's workers share the cores, and their models are small
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OMP_NUM_THREADS", "1")
# This process outlives the projects whose databases it opens: no connection stays open
os.environ["MLFLOW_SQLALCHEMYSTORE_POOLCLASS"] = "NullPool"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if SLOW.intersection(getattr(item, "fixturenames", ())):
            item.add_marker("slow")
