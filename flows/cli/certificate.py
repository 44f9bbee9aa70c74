"""`pneumo certificate`: what the splits of a source share."""

from pathlib import Path
from typing import Annotated

import typer


def certificate(
    source: Annotated[str, typer.Option(help="Labelled images, as for ingest.source.")],
    out: Annotated[Path, typer.Option(help="JSON file; a page (.md) is written beside it.")],
) -> None:
    """Report what the splits of a source share: duplicates, near-duplicates, patients."""
    from pneumo_core.atomic import write_json, write_text
    from pneumo_core.evaluation.any_source import certify_source
    from pneumo_core.params import IngestParams
    from pneumo_core.preparation.certificate import describe
    from tasks.stores.sources import open_source

    found = certify_source(open_source(IngestParams(source=source)))
    write_json(out, found)
    write_text(out.with_suffix(".md"), describe(found, source))
    print(f"{'Valid' if found['valid'] else 'NOT valid: ' + '; '.join(found['faults'])}")
    for kind in ("exact_duplicates", "near_duplicates", "patients"):
        print(f"  {kind}: {', '.join(f'{value} {what}' for what, value in found[kind].items())}")
    print(f"Written to {out} and {out.with_suffix('.md')}")
