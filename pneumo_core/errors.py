"""Every error that pneumo raises on purpose.

A message says what came, what was expected and what to do.
"""

import errno
import os

FULL = os.strerror(errno.ENOSPC)


def sentence(error: BaseException) -> str:
    """Return the error for people; for a full disk, also what to do."""
    text = str(error)
    if FULL in text:
        text += ". Make room there and start again: what was finished stays, and goes on from there"
    return text


class PneumoError(Exception):
    """Root of the tree; the command line prints it without a traceback."""


class ParamsError(PneumoError):
    """A parameter is unknown or has a bad value; the message names the key."""


class SourceError(PneumoError):
    """The images asked for are not there, or not in a known layout."""


class ArchiveError(SourceError):
    """An archive that is broken or would do harm when opened."""


class ImageError(PneumoError):
    """One file cannot be decoded; the caller quarantines it."""


class NoFilmError(ImageError):
    """A picture can be decoded, but it is not a chest film."""


class DataError(PneumoError):
    """The images cannot be used as asked (counts, classes, expectations)."""


class SplitError(DataError):
    """No split of whole patients has the sizes asked for."""


class SaltError(DataError):
    """The secret of the hashes of patients is missing, or is not the one that made them."""


class CertificateError(DataError):
    """The data are not shown to be free of leaks."""


class TrainingError(PneumoError):
    """Learning cannot go on (a loss that is not finite, no such layer)."""


class WeightsError(PneumoError):
    """Pretrained weights are missing or are not what they should be."""


class BundleError(PneumoError):
    """A model bundle is incomplete, altered or of another version."""


class EvaluationError(PneumoError):
    """These predictions cannot give the figures."""


class PromotionError(PneumoError):
    """The registry or a policy cannot be used as asked."""


class NoChampionError(PromotionError):
    """No version has the alias: none was promoted yet."""


class NotCheckedError(PneumoError):
    """A claim of a statement cannot be checked here; the message says why."""


class SignatureError(PneumoError):
    """A signature does not fit, or is of a key that nobody here knows."""


class NotTrustedError(SignatureError):
    """There is no signature where one must be, or it fits and its key was revoked."""


class LedgerError(PneumoError):
    """An append-only file is damaged."""


class StoreError(PneumoError):
    """A bucket cannot be reached, refuses, or has no room."""


class ReleaseError(PneumoError):
    """There is nothing to release, or a release is not what was published."""


class ErasureError(PneumoError):
    """A patient cannot be erased, or it is not known who was."""


class PipelineError(PneumoError):
    """A stage failed, or this is no pneumo project."""


class UnavailableError(PipelineError):
    """Something outside this machine does not answer: trying again may help."""


class BusyError(PipelineError):
    """Another run holds the project."""
