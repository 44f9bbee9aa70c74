"""The graph of stages in `dvc.yaml`."""

from pneumo_core import versions
from tasks import paths
from tasks.graph import provenance

VERSIONS, INGEST, TRAIN = "versions", "ingest", "train"
EXTERNAL, PROMOTE = "external", "promote"


def stale_stages(promote: bool = True, ingest_again: bool = False) -> dict[str, set[str]]:
    """Return the stale stages and all that follow them, each with the stale stages it waits for.

    In the order of `dvc.yaml`, in which a stage stands behind what it needs. The installed
    versions of libraries are recorded first, so that what another version made is stale.

    Args:
        promote: False leaves out the stage of that name, the only one that changes the registry.
        ingest_again: counts stages that read a source as stale: DVC does not see what a description
            points to.

    Raises:
        PipelineError: git does not say of which commit the results would be.
    """
    from dvc.repo import Repo

    provenance.tags()
    versions.record(paths.VERSIONS)
    with Repo() as repo:
        changed = repo.status()
        graph = repo.index.graph  # edges point from a stage to what it needs
        stale: dict[str, set[str]] = {}
        for stage in repo.index.stages:
            needs = {need.addressing for need in graph[stage]} & stale.keys()
            again = ingest_again and reads_source(stage.addressing)
            # Which stages other versions concern, they say by their own dependencies.
            if needs - {VERSIONS} or again or stage.addressing in changed:
                stale[stage.addressing] = needs
        if not promote:
            stale.pop(PROMOTE, None)  # no stage stands behind it
        return stale


def reads_source(stage: str) -> bool:
    return stage == INGEST or stage.startswith(f"{EXTERNAL}@")


def is_cell(stage: str) -> bool:
    return stage.startswith(f"{TRAIN}@")
