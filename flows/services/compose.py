"""The part of `mlflow/compose.yaml` that starts services without containers."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

FILE = Path("mlflow/compose.yaml")
VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")


@dataclass(frozen=True)
class Service:
    name: str
    command: tuple[str, ...]  # empty: the image's own
    environment: dict[str, str]
    health_check: tuple[str, ...]  # exits with 0 while it is healthy; empty: it ends by itself
    needs: tuple[str, ...]  # must be healthy, or have ended
    stop_signal: str


def read_services(variables: Mapping[str, str], without: frozenset[str]) -> list[Service]:
    """Return the services in the order of the file: each after those that it needs.

    Args:
        variables: values of `${NAME}`. The environment has the variables of S3.
        without: names of services that run elsewhere.
    """
    document = yaml.safe_load(FILE.read_text("utf-8"))
    of_s3 = document["x-environment"]["s3"].keys()
    return [
        Service(
            name,
            tuple(_fill(part, variables) for part in stated.get("command", ())),
            {
                key: _fill(value, variables)
                for key, value in stated.get("environment", {}).items()
                if key not in of_s3
            },
            tuple(
                _fill(part, variables) for part in stated.get("healthcheck", {}).get("test", ())[1:]
            ),
            tuple(need for need in stated.get("depends_on", ()) if need not in without),
            stated.get("stop_signal", "SIGTERM"),
        )
        for name, stated in document["services"].items()
        if name not in without
    ]


def _fill(text: Any, variables: Mapping[str, str]) -> str:
    """Fill in `${NAME}`, `${NAME:-default}` and `${NAME:?what it is}` as Docker does."""

    def value(match: re.Match[str]) -> str:
        name, sign, default = match.groups()
        return variables.get(name) or (default if sign == "-" else "")

    return VARIABLE.sub(value, str(text))
