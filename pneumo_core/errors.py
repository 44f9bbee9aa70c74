"""Every error that pneumo raises on purpose.

A message says what came, what was expected and what to do.

PneumoError
├── ParamsError        a parameter is unknown or has a bad value; the message names the key
├── SourceError        the images asked for are not there, or not in a known layout
│   └── ArchiveError   an archive that is broken or would do harm when opened
├── ImageError         one file cannot be decoded; the caller quarantines it
│   └── NoFilmError    it can, but it is no chest film
├── DataError          the images cannot be used as asked (counts, classes, expectations)
│   ├── SplitError     no split of whole patients has the sizes asked for
│   └── CertificateError  the data are not shown to be free of leaks
├── TrainingError      learning cannot go on (a loss that is not finite, no such layer)
├── WeightsError       pretrained weights are missing or are not what they should be
├── BundleError        a model bundle is incomplete, altered or of another version
├── EvaluationError    figures that these predictions cannot give
├── PromotionError     the registry or a policy cannot be used as asked
├── LedgerError        an append-only file is damaged
├── StoreError         a bucket cannot be reached, refuses, or has no room
├── ReleaseError       there is nothing to release, or a release is not what was published
└── PipelineError      a stage failed, or this is no pneumo project
    ├── UnavailableError  for want of something beyond this machine: trying again may help
    └── BusyError         another run holds the project
"""


class PneumoError(Exception):
    """Root of the tree; the command line prints it without a traceback."""


class ParamsError(PneumoError):
    pass


class SourceError(PneumoError):
    pass


class ArchiveError(SourceError):
    pass


class ImageError(PneumoError):
    pass


class NoFilmError(ImageError):
    pass


class DataError(PneumoError):
    pass


class SplitError(DataError):
    pass


class CertificateError(DataError):
    pass


class TrainingError(PneumoError):
    pass


class WeightsError(PneumoError):
    pass


class BundleError(PneumoError):
    pass


class EvaluationError(PneumoError):
    pass


class PromotionError(PneumoError):
    pass


class LedgerError(PneumoError):
    pass


class StoreError(PneumoError):
    pass


class ReleaseError(PneumoError):
    pass


class PipelineError(PneumoError):
    pass


class UnavailableError(PipelineError):
    pass


class BusyError(PipelineError):
    pass
