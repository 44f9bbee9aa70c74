"""`pneumo serve`: a model over HTTP."""

from pathlib import Path
from typing import Annotated

import typer

from flows.cli.evaluation import Bundle


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8000,
    alias: Annotated[
        str, typer.Option(help="Alias in the registry; where it moves, the server follows.")
    ] = "champion",
    bundle: Bundle = None,
) -> None:
    """Serve a model over HTTP: an API, and a page to drop films on. For research."""
    from pneumo_core.allocation import freed_memory_kept

    with freed_memory_kept():  # before there is a thread with a heap of its own
        _serve(host, port, alias, bundle)


def _serve(host: str, port: int, alias: str, bundle: Path | None) -> None:
    import logging
    import warnings

    from flows.services import pages

    pages.require_free(host, port)  # before torch is loaded

    import uvicorn

    from flows.serving.app import create_app
    from flows.serving.models import load_model, successor

    # Messages of the readers of DICOM and of uploads may quote a file.
    warnings.simplefilter("ignore")
    for reader in ("pydicom", "python_multipart"):
        logging.getLogger(reader).setLevel(logging.CRITICAL)
    model = load_model(bundle, alias)
    print(f"{model.describe()}\nListening on http://{host}:{port}", flush=True)
    uvicorn.run(
        create_app(model, successor),
        host=host,
        port=port,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=10,
    )
