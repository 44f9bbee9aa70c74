"""Every kind of source: those of the core, and those that need boto3."""

from collections.abc import Sequence

from pneumo_core import params
from pneumo_core.params import IngestParams
from pneumo_core.sources import opening
from pneumo_core.sources.opening import OpenedSource
from tasks import erased_list, paths
from tasks.stores.s3_source import S3Description

MORE_KINDS = {"s3": S3Description}


def open_source(asked: IngestParams) -> OpenedSource:
    """Return the source without erased patients; see `opening.open_source`."""
    return opening.open_source(asked, MORE_KINDS, paths.SOURCES, erased_list.read(), paths.SALT)


def open_by_project(
    source: str, patients: str | None = None, metadata: Sequence[str] = ()
) -> OpenedSource:
    """Return any source, read by the section `ingest` of the project here, or by the defaults.

    Args:
        patients: the rule that says who is on a film, in place of the project's.
        metadata: what is kept of each film, beside the project's.
    """
    own = params.load().ingest if params.FILE.is_file() else IngestParams(source=source)
    given = {
        "source": source,
        "patients": own.patients if patients is None else patients,
        "metadata": tuple(dict.fromkeys((*own.metadata, *metadata))),
    }
    return open_source(own.model_copy(update=given))
