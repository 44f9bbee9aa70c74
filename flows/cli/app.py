"""The command line: which commands there are, in which order, and how an error is shown."""

import sys
from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperGroup

from flows.cli import (
    attest,
    augment,
    benchmark,
    certificate,
    erase,
    evaluation,
    pipeline,
    predict,
    registry,
    release,
    report,
    retraining,
    serve,
    services,
    verify,
    weights,
    who,
)
from tasks import explanations, telemetry_off

HEADINGS: dict[str, dict[str, Callable[..., None] | typer.Typer]] = {
    "Daily use": {
        "run": pipeline.run,
        "predict": predict.predict,
        "evaluate": evaluation.evaluate,
        "report": report.report,
        "compare": evaluation.compare,
        "serve": serve.app,
    },
    "Models over time": {
        "monitor": retraining.monitor,
        "promote": registry.promote,
        "registry": registry.app,
        "release": release.app,
        "attest": attest.attest,
        "diff": retraining.diff,
    },
    "Data and training": {
        "certificate": certificate.certificate,
        "who": who.who,
        "erase": erase.erase,
        "augment": augment.app,
        "weights": weights.app,
        "benchmark": benchmark.benchmark,
    },
    "Services and single stages": {
        "ui": services.ui,
        "preflight": release.preflight,
        "verify": verify.verify,
        "services": services.services,
        "stage": pipeline.stage,
    },
}


class ByUse(TyperGroup):
    """The commands in the order of HEADINGS; Typer's own order puts groups apart."""

    def list_commands(self, _: Any) -> list[str]:
        return [name for commands in HEADINGS.values() for name in commands]


app = typer.Typer(
    cls=ByUse,
    help="From a folder of chest X-rays to a registered, traceable pneumonia classifier.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

for heading, commands in HEADINGS.items():
    for name, command in commands.items():
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name, rich_help_panel=heading)
        else:
            app.command(name, rich_help_panel=heading)(command)


def main() -> None:
    """Run the command line. A known failure is one sentence; `--debug` shows its traceback."""
    telemetry_off.apply()
    debug = "--debug" in sys.argv
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    try:
        app(arguments)
    except Exception as error:  # a known failure is one sentence, any other a traceback
        explanation = explanations.explain(error)
        if debug or explanation is None:
            raise
        print(f"pneumo: {explanation}", file=sys.stderr)
        sys.exit(1)
