"""`pneumo verify`: whether everything is as it was written."""

import sys

import typer


def verify() -> None:
    """Compare every result, DVC's stores, ledgers, registry and bundles with their hashes."""
    from pneumo_core import params
    from tasks import project_lock
    from tasks.commands import verify as body

    with project_lock.hold_project():
        faults = list(body.faults(params.load().promote.registered_model))
    for fault in faults:
        print(fault, file=sys.stderr)
    if faults:
        raise typer.Exit(1)
    print(body.INTACT)
