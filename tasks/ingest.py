"""Store the source's files unaltered, and write the first manifest."""

from pneumo_core.atomic import write_json
from pneumo_core.data import manifest
from pneumo_core.params import IngestParams
from pneumo_core.sources import facts, identity
from pneumo_core.sources.collect import collect
from pneumo_core.sources.erased import LEFT_OUT
from pneumo_core.sources.metadata import require_given
from tasks import paths
from tasks.stores.sources import open_source


def run(params: IngestParams) -> None:
    source = open_source(params)
    files = source.files()
    require_given(files, params.metadata)
    for remark in [*facts.remarks(files), *source.notes.sentences()]:
        print(f"ingest: {remark}")
    table = collect(files, paths.RAW)
    if known_by_bytes := len(files) - len(table):
        print(f"ingest: {LEFT_OUT.format(known_by_bytes)}, known by their bytes")
        source.notes.count(LEFT_OUT, known_by_bytes)
    manifest.write(table, paths.INGESTED)
    identity.write(table, paths.NAMES)
    counts = manifest.count(table, "source_split", "label")
    write_json(paths.INGEST_SUMMARY, {"files": counts, "notes": source.notes.counts()})
    print(f"ingest: {len(table)} files from {params.source}")
