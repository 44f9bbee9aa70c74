"""`pneumo serve`: a model over HTTP."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.evaluation import Bundle

if TYPE_CHECKING:
    from flows.serving.server import Address

app = typer.Typer(invoke_without_command=True)


@app.callback()
def serve(
    context: typer.Context,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8000,
    alias: Annotated[
        str, typer.Option(help="Alias in the registry; where it moves, the server follows.")
    ] = "champion",
    bundle: Bundle = None,
    token_file: Annotated[
        Path | None,
        typer.Option(help="Tokens of those who may use it; required beyond this machine."),
    ] = None,
    tls_cert: Annotated[
        Path | None, typer.Option(help="Certificate (PEM, with its chain), for HTTPS.")
    ] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Key of the certificate (PEM).")] = None,
) -> None:
    """Serve a model over HTTP: an API, and a page to drop films on. For research."""
    if context.invoked_subcommand is not None:
        return
    from flows.serving.server import Address
    from pneumo_core.allocation import freed_memory_kept

    address = Address(host, port, token_file, tls_cert, tls_key)
    with freed_memory_kept():  # before there is a thread with a heap of its own
        _serve(address, alias, bundle)


def _serve(address: "Address", alias: str, bundle: Path | None) -> None:
    import logging
    import warnings

    address.require_usable()  # before torch is loaded

    from flows.serving import server
    from flows.serving.app import create_app
    from flows.serving.models import load_model, successor

    # Messages of the readers of DICOM and of uploads may quote a file.
    warnings.simplefilter("ignore")
    for reader in ("pydicom", "python_multipart"):
        logging.getLogger(reader).setLevel(logging.CRITICAL)
    model = load_model(bundle, alias)
    print(f"{model.describe()}\n{address.describe()}", flush=True)
    server.run(create_app(model, successor, token_file=address.token_file), address)


@app.command("token")
def token(
    name: Annotated[str, typer.Argument(help="Who gets it; the log names them.")],
    token_file: Annotated[Path, typer.Option(help="File to add it to; it keeps only a hash.")],
) -> None:
    """Make a token for someone, and print it once. Delete its line in the file to revoke it."""
    from flows.serving import tokens

    print(tokens.create(token_file, name))
