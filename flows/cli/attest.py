"""`pneumo attest`: a sample of what a model's statement claims, computed again here."""

import secrets
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from flows.cli.evaluation import Alias


def attest(
    release: Annotated[
        str | None,
        typer.Argument(
            help="s3://BUCKET/PREFIX/NAME/VERSION, or a folder with the same files; by default the "
            "version that has the alias."
        ),
    ] = None,
    alias: Alias = "champion",
    seed: Annotated[
        int | None,
        typer.Option(help="Draw the same films and shards as another time; by default new ones."),
    ] = None,
    to_json: Annotated[
        Path | None, typer.Option("--json", help="Also write the claims to this file.")
    ] = None,
) -> None:
    """Check every claim of a model's statement on this machine; exit 0 only if all of them hold."""
    from flows.cli.registry import print_table
    from pneumo_core.atomic import write_json
    from tasks.attestation import attest as body
    from tasks.attestation.subject import Subject

    drawn = secrets.randbits(32) if seed is None else seed
    with tempfile.TemporaryDirectory() as scratch:
        subject = Subject.read(_folder(release, alias, Path(scratch)), drawn)
        claims = body.attest(subject)
    print_table(("claim", "verdict", ""), [(c.name, c.verdict, c.detail) for c in claims])
    code = body.exit_code(claims)
    print(f"{_SUMMARY[code]} Drawn by --seed {drawn}.")
    if to_json is not None:
        write_json(to_json, {"seed": drawn, "exit_code": code, "claims": [*map(asdict, claims)]})
    if code:
        raise typer.Exit(code)


_SUMMARY = {
    0: "Every claim holds.",
    1: "The statement is not true of what is here.",
    3: "What was checked holds; not every claim could be checked.",
}


def _folder(release: str | None, alias: str, scratch: Path) -> Path:
    """Return the folder with the bundle and its statement."""
    from pneumo_core import params
    from tasks.registry import model_versions
    from tasks.registry import release as releases
    from tasks.stores.buckets import Folder

    if release is None:
        name = params.load().promote.registered_model
        return model_versions.champion_bundle(name, alias)[0].parent
    if release.startswith("s3://"):
        releases.fetch_model(Folder(release), scratch)
        return scratch
    return Path(release)
