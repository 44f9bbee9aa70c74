"""Commands around a retraining: what it changed."""

from typing import Annotated

import typer


def diff(
    revision: Annotated[str, typer.Argument(help="A git branch, tag or commit.")] = "origin/main",
) -> None:
    """Print what the results here change against another commit, as Markdown."""
    from tasks import changes

    print(changes.describe(revision))
