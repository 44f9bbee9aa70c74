"""Source to an immutable copy and the first manifest."""

from pneumo_core import manifest
from pneumo_core.atomic import write_json
from pneumo_core.params import IngestParams
from pneumo_core.raw import collect
from pneumo_core.sources import facts
from pneumo_core.sources.source import Listing
from tasks import places
from tasks.sources import open_source


def run(params: IngestParams) -> None:
    files = open_source(params).files()
    for remark in facts.remarks(files):
        print(f"ingest: {remark}")
    table = collect(Listing(files), places.RAW)
    manifest.write(table, places.INGESTED)
    write_json(places.INGEST_SUMMARY, {"files": manifest.count(table, "source_split", "label")})
    print(f"ingest: {len(table)} files from {params.source}")
