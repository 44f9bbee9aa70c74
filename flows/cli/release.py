"""`pneumo release` and `pneumo preflight`: models and results in buckets."""

from pathlib import Path
from typing import Annotated

import typer

from flows.cli.evaluation import Alias

app = typer.Typer(help="Publish a model with its report in an S3 bucket, and verify it there.")


@app.callback(invoke_without_command=True)
def release(
    context: typer.Context,
    to: Annotated[
        str | None, typer.Option(help="s3://BUCKET/PREFIX; the release is PREFIX/NAME/VERSION.")
    ] = None,
    alias: Alias = "champion",
) -> None:
    if context.invoked_subcommand is not None:
        return
    if to is None:
        raise typer.BadParameter("Give the place: --to s3://BUCKET/PREFIX")
    from pneumo_core import params
    from tasks import paths
    from tasks.registry import model_versions
    from tasks.registry import release as body
    from tasks.stores.buckets import Folder

    name = params.load().promote.registered_model
    model, version = model_versions.champion_bundle(name, alias)
    place = body.publish(Folder(to), name, version, model.parent, body.report_of(model))
    print(f"Published: {place.address}\nCommit {paths.RELEASE_LEDGER}, which lists every release.")


@app.command("verify")
def verify(
    address: Annotated[str, typer.Argument(help="s3://BUCKET/PREFIX/NAME/VERSION")],
    trusted_keys: Annotated[
        Path | None,
        typer.Option(help="Folder of public keys; by default the project's mlflow/trusted_keys."),
    ] = None,
) -> None:
    """Fetch every file of a release, compare its SHA-256, and check who signed the model."""
    from pneumo_core.promotion.signatures import TrustedKeys
    from tasks import paths
    from tasks.registry import release as body
    from tasks.stores.buckets import Folder

    faults = body.verify(Folder(address), TrustedKeys.read(trusted_keys or paths.TRUSTED_KEYS))
    print("\n".join(faults) or "Every file is as it was published.")
    if faults:
        raise typer.Exit(1)


def preflight() -> None:
    """Check, before long work, that the bucket of the DVC remote takes results."""
    from tasks.stores.preflight import require_remote

    print(f"Results can go to {require_remote()}")
