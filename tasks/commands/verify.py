"""Everything that pneumo keeps, compared with what was recorded when it was written."""

from collections.abc import Iterator
from pathlib import Path

from pneumo_core.errors import PipelineError
from tasks import ledger, paths
from tasks.graph import integrity
from tasks.graph.provenance import LOCK
from tasks.registry import rollback

INTACT = "Results, DVC's stores, ledgers, registry and bundles are as they were written."
# rollback.verify reads that of promotions
LEDGERS = (paths.TEST_LEDGER, paths.RELEASE_LEDGER, paths.ERASURE_LEDGER)


def faults(model: str) -> Iterator[str]:
    """Yield a sentence for each fault of results, DVC's stores, ledgers, registry and bundles.

    Raises:
        PipelineError: there are no results.
        PromotionError: the registry cannot be read.
        LedgerError: a ledger cannot be read.
    """
    if not LOCK.is_file():
        raise PipelineError(f"There is no {LOCK}, so nothing to verify: start 'pneumo run' first.")
    stages, stores = _of_dvc()
    yield from integrity.altered_outputs(stages=stages)
    for store in stores:
        yield from integrity.damaged_objects(store)
    for path in LEDGERS:
        yield from (f"{path}: line {n} was altered" for n in ledger.broken_links(path))
        yield from ledger.false_signatures(path)
    yield from rollback.verify(model)


def _of_dvc() -> tuple[set[str], list[Path]]:
    """Return the graph's stages, and DVC's cache and its default remote if that is a folder."""
    from dvc.repo import Repo

    with Repo() as repo:
        stages = {stage.addressing for stage in repo.index.stages}
        stores = [Path(repo.cache.local.path)]
        if repo.config["core"].get("remote") and repo.cloud.get_remote().fs.protocol == "local":
            stores.append(Path(repo.cloud.get_remote_odb().path))
    return stages, stores
