"""`pneumo erase`: a patient leaves every store, and does not come back."""

from typing import Annotated

import typer

FOUND = 3  # exit code; 1 is an error, 2 a wrong command line


def erase(
    patient: Annotated[
        str | None,
        typer.Argument(
            help="The patient's key as 'pneumo who' prints it, or the id of a film. With --check, "
            "by default everyone who was erased.",
            show_default=False,
        ),
    ] = None,
    reason: Annotated[
        str | None, typer.Option(help="Why, for the ledger; without a name or number.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Search every store, and change nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before erasing.")] = False,
) -> None:
    """Erase a patient from films, results, DVC's stores, MLflow, releases and reports.

    The patient's films are left out of every source from then on. What was made of them is deleted,
    and the next run makes it anew. Models that learned from the patient, or were judged on one, are
    marked. Films elsewhere, such as those in ingest.source itself, are yours to delete.

    Exit code 3: --check found something.
    """
    from tasks import project_lock

    if check == bool(reason):
        raise typer.BadParameter("Give either --check, or a patient and --reason.")
    with project_lock.hold_project():
        if check:
            _check(patient)
        elif patient is None:
            raise typer.BadParameter("Say which patient.")
        elif patient.casefold() in str(reason).casefold():
            raise typer.BadParameter("The reason names the patient, and the ledger is committed.")
        else:
            _erase(patient, str(reason), yes)


def _check(patient: str | None) -> None:
    from tasks.erasure import erase as body

    found = body.check(patient)
    for number, each in enumerate(found, 1):
        print(f"Erased patient {number} of {len(found)}, {each.patient[:12]} on the list:")
        print("\n".join(f"  {line}" for line in [*each.lines(), *each.alike()]))
    if not found:
        print("Nobody was erased from this project.")
    if not all(each.is_done and not each.alike() for each in found):
        raise typer.Exit(FOUND)


def _erase(patient: str, reason: str, yes: bool) -> None:
    from tasks import paths
    from tasks.erasure import erase as body

    planned = body.plan(patient)
    print("To be deleted; models and lists are marked or rewritten:")
    print("\n".join(f"  {line}" for line in planned.lines()))
    if not yes:
        typer.confirm("This cannot be undone. Erase?", abort=True)
    done = body.carry_out(planned, reason)
    print("Erased. Now in the stores:")
    print("\n".join(f"  {line}" for line in done.lines()))
    for line in [*body.aliases(planned.patient), *done.alike()]:
        print(line)
    print(
        f"Commit {paths.ERASED} and ledger/, keep a backup of {paths.SALT}, and start 'pneumo run'."
    )
