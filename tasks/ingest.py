"""Source to an immutable copy and the first manifest."""

from pneumo_core import manifest
from pneumo_core.atomic import replacing_folder, write_json
from pneumo_core.params import IngestParams
from pneumo_core.raw import collect
from pneumo_core.sources import open_source
from tasks import places


def run(params: IngestParams) -> None:
    source = open_source(params)
    with replacing_folder(places.RAW) as draft:
        table = collect(source, draft)
    manifest.write(table, places.INGESTED)
    write_json(places.INGEST_SUMMARY, {"files": manifest.count(table, "source_split", "label")})
    print(f"ingest: {len(table)} files from {params.source}")
