"""Every claim of a statement, checked on this machine; nothing of the project changes."""

import functools
from collections.abc import Callable, Mapping

from pneumo_core.errors import NotCheckedError, PneumoError
from tasks.attestation import data, gates, origin, results
from tasks.attestation.claims import DIFFERS, NOT_CHECKED, Claim, Outcome, differs
from tasks.attestation.subject import Subject
from tasks.registry import statement

Check = Callable[[Subject], Outcome]

STATED: Mapping[str, Check] = {
    "signature": origin.signature,
    "model": origin.model,
    "commit": origin.commit,
    "dvc.lock": origin.lock,
    "parameters": origin.parameters,
    "libraries": origin.libraries,
    "films": data.films,
    "evaluation files": results.evaluation,
}
COMPUTED: Mapping[str, Check] = {
    "pixels": data.pixels,
    "split": data.split,
    "certificate": data.certificate,
    "training films": data.training_films,
    "scores": results.scores,
    "calibration": results.calibration,
    "operating points": results.operating_points,
    "figures": results.figures,
}


def attest(subject: Subject) -> list[Claim]:
    """Return each claim with what came of it; a check that fails is a claim that differs."""
    return [check(subject, name) for name in [*STATED, *computed(subject)]]


def computed(subject: Subject) -> Mapping[str, Check]:
    """Return the checks of what is computed again; the gates are those of the statement."""
    roles = gates.roles(subject)
    if not roles:
        return {**COMPUTED, "gates": _without_gates}
    of_roles = {f"gates of {r}": functools.partial(gates.of_role, role=r) for r in roles}
    return {**COMPUTED, **of_roles}


def check(subject: Subject, name: str) -> Claim:
    """Return one claim with what came of it."""
    if name in STATED:
        return _checked(name, STATED[name], subject)
    claim = _checked(name, computed(subject)[name], subject)
    return claim.on_other_versions() if subject.other_versions else claim


def exit_code(claims: list[Claim]) -> int:
    """Return 0 where every claim holds, 1 where one differs, 3 where one was not checked."""
    verdicts = {claim.verdict for claim in claims}
    return 1 if DIFFERS in verdicts else 3 if NOT_CHECKED in verdicts else 0


def _checked(name: str, check: Check, subject: Subject) -> Claim:
    try:
        outcome = check(subject)
    except NotCheckedError as error:
        outcome = Outcome(NOT_CHECKED, str(error))
    except PneumoError as error:
        outcome = differs(str(error))
    except (ValueError, KeyError, TypeError, OSError) as error:  # what was altered has any form
        outcome = differs(f"what it rests on cannot be read ({type(error).__name__})")
    return Claim(name, outcome.verdict, outcome.detail)


def _without_gates(_: Subject) -> Outcome:
    raise NotCheckedError(f"the statement has no {statement.DECISIONS}")
