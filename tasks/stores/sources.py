"""Every kind of source: those of the core, and those that need boto3."""

from pneumo_core import sources
from pneumo_core.params import IngestParams
from pneumo_core.sources import OpenedSource
from tasks import paths
from tasks.stores.s3_source import S3Description

MORE_KINDS = {"s3": S3Description}


def open_source(params: IngestParams) -> OpenedSource:
    """Return the source; see `pneumo_core.sources.open_source`."""
    return sources.open_source(params, MORE_KINDS, paths.SOURCES)
