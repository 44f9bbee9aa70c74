"""The graph of `dvc.yaml`, which is written nowhere else."""

from pathlib import Path

import yaml

LOCK = Path("dvc.lock")


def locked_hashes(*stages: str) -> dict[str, str]:
    """Output path to the DVC hash that `dvc.lock` has for it, for the outputs of some stages."""
    if not LOCK.is_file():
        return {}
    locked = yaml.safe_load(LOCK.read_text("utf-8")).get("stages", {})
    return {
        out["path"]: out["md5"] for stage in stages for out in locked.get(stage, {}).get("outs", [])
    }


def edges() -> dict[str, set[str]]:
    """Every stage with the stages that it needs directly, in an order that respects them."""
    import networkx
    from dvc.repo import Repo

    with Repo() as repo:
        graph = repo.index.graph  # edges point from a stage to what it needs
        order = reversed(list(networkx.topological_sort(graph)))
        return {stage.addressing: {need.addressing for need in graph[stage]} for stage in order}


def stale_stages() -> set[str]:
    """Stages that DVC would run, and all that stand behind them."""
    from dvc.repo import Repo

    with Repo() as repo:
        stale = set(repo.status())
    for stage, needs in edges().items():
        if needs & stale:
            stale.add(stage)
    return stale
