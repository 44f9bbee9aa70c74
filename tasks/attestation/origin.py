"""Claims on what made the model: who signed, the commit, `dvc.lock`, parameters, libraries."""

from pneumo_core import params
from pneumo_core.errors import NotCheckedError, PipelineError
from pneumo_core.models import bundle
from pneumo_core.promotion import signatures
from tasks import paths, signing
from tasks.attestation.claims import WHERE, Outcome, differs, require, same, some
from tasks.attestation.subject import Subject
from tasks.graph import provenance
from tasks.registry import statement


def signature(subject: Subject) -> Outcome:
    if not (subject.folder / signatures.SIGNATURE).is_file():
        raise NotCheckedError("not signed: nobody vouches for the statement")
    return same(f"by {signatures.verify_folder(subject.folder, signing.trusted_keys())}")


def model(subject: Subject) -> Outcome:
    """The bundle is whole, and the one that the statement is on."""
    (stated,) = subject.statement["subject"]
    identity = bundle.identity(subject.folder / paths.BUNDLE)
    bundle.read_description(subject.folder / paths.BUNDLE)
    if stated["digest"]["sha256"] != identity:
        return differs("the statement is on another bundle")
    return same(f"bundle {identity[:12]}")


def commit(subject: Subject) -> Outcome:
    """The code here is that of the commit."""
    stated, named = subject.dependency(statement.COMMIT), subject.commit
    if stated["annotations"].get(statement.CODE_DIRTY) != "false":
        raise NotCheckedError(f"made by code that differed from the commit {named[:12]}")
    try:
        changed = provenance.code_differing(named)
    except PipelineError as error:
        if not provenance.tags() or provenance.is_shallow():
            raise NotCheckedError("the history of that commit is not here") from error
        return differs(str(error))
    if changed:
        raise NotCheckedError(
            f"the code here is not that of the commit {named[:12]}: {some(changed)}"
        )
    return same(f"code of {named[:12]}")


def lock(subject: Subject) -> Outcome:
    """`dvc.lock` here is that of the run: it names code, data and results by hashes."""
    stated = subject.sha256_of(statement.STAGES)
    require(provenance.LOCK)
    if provenance.locked_digest() != stated:
        return differs(f"{provenance.LOCK} here is of another run: {WHERE}")
    return same("the stages that the model rests on")


def parameters(subject: Subject) -> Outcome:
    stated, here = subject.stated_parameters, statement.parameters()
    other = [
        f"{section}.{key}"
        for section in sorted(stated.keys() | here.keys())
        for key in _keys(stated.get(section), here.get(section))
    ]
    if other:
        return differs(f"other values in {params.FILE}: {some(other)}")
    return same(f"{len(here)} sections of {params.FILE}")


def _keys(stated: object, here: object) -> list[str]:
    """Return the keys of a section whose values differ."""
    if not isinstance(stated, dict) or not isinstance(here, dict):
        return ["*"]
    return sorted(
        key for key in stated.keys() | here.keys() if stated.get(key, ...) != here.get(key, ...)
    )


def libraries(subject: Subject) -> Outcome:
    if subject.other_versions:
        raise NotCheckedError("; ".join(subject.other_versions))
    return same(f"{len(subject.libraries)} versions")
