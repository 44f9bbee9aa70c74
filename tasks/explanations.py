"""Ordinary failures of the libraries that pneumo uses, each with a sentence that says the fix."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from pneumo_core.errors import PneumoError, sentence

MLFLOW = "MLFLOW_TRACKING_URI, or var/mlflow.db without it"
PREFECT = (
    "Start the server or correct PREFECT_API_URL; without it (`prefect config unset "
    "PREFECT_API_URL`) a run has a server of its own."
)
EXTRAS = {  # of pyproject.toml, with the modules that a command may miss
    "serve": "fastapi|starlette|uvicorn|h11|anyio|prometheus_client|boto3|botocore",
    "train": "torch|torchvision|timm|onnx|pandas|pyarrow|sklearn|matplotlib|jinja2|markupsafe",
    "ops": "prefect|mlflow|dvc|great_expectations|sqlalchemy|ruamel|httpx|flask|psycopg",
}


@dataclass(frozen=True)
class Explanation:
    """An exception by its qualified name or that of a base class, told by words of its text."""

    kind: str
    text: str  # a pattern; the sentence may name its groups, and `text`, the first line
    sentence: str

    def explain(self, error: BaseException) -> str | None:
        kinds = {f"{kind.__module__}.{kind.__qualname__}" for kind in type(error).__mro__}
        found = re.search(self.text, str(error), re.DOTALL)
        if self.kind not in kinds or found is None:
            return None
        return self.sentence.format(**found.groupdict(), text=_first_line(error))


TABLE = (
    Explanation(
        "dvc.scm.SCMError",
        "(?P<folder>.*) is not a git repository",
        "{folder} is not a git repository, which DVC needs (GitHub's ZIP has none): clone the "
        "project with git, or run `git init && git add --all && git commit -m start` in it.",
    ),
    Explanation(
        "dvc.exceptions.NotDvcRepoError",
        "",
        "There is no DVC project here: run this in the project's folder, which has `.dvc`.",
    ),
    Explanation(
        "dvc.utils.strictyaml.YAMLSyntaxError",
        r"'(?:\./)?(?P<file>[^']+)'",
        "{file} is not YAML, as after a merge with conflicts: take it as one side has it "
        "(`git checkout --ours {file}` or `git restore {file}`) and run again; what is missing "
        "is computed.",
    ),
    Explanation(
        "dvc.utils.strictyaml.YAMLValidationError",
        r"'(?:\./)?(?P<file>[^']+)' validation",
        "{file} is not as this DVC expects it: restore it (`git restore {file}`), or install the "
        "DVC that wrote it.",
    ),
    Explanation(
        "dvc.lock.LockError",
        r"'(?P<path>[^']+)' is busy.*?PID (?P<pid>\d+)\): (?P<command>[^\n]*)",
        "{path} is in use by process {pid} ({command}), as DVC noted: wait for its end, or delete "
        ".dvc/tmp/rwlock if process {pid} is something else.",
    ),
    Explanation(
        "dvc.lock.LockError",
        "",
        "Another DVC command holds this project: wait for its end and run again.",
    ),
    *(
        Explanation(
            f"dvc.rwlock.RWLockFile{kind}Error",
            "",
            "DVC's file .dvc/tmp/rwlock is damaged, as after a crash or on a full disk: delete it "
            "and run again.",
        )
        for kind in ("Corrupted", "Format")
    ),
    Explanation(
        "dvc.stage.exceptions.StageCmdFailedError",
        r"exited with -(9|SIGKILL)\b",
        "Its process was killed, often by the system for want of memory: end what else uses memory "
        "and run again; a training goes on from its checkpoint.",
    ),
    Explanation("dvc.exceptions.DvcException", r"\S", "DVC: {text}"),
    Explanation(
        "builtins.RuntimeError",
        r"Failed to reach API at (?P<url>\S+)",
        "No Prefect server answers at {url}; a login page is none. " + PREFECT,
    ),
    Explanation(
        "prefect.exceptions.PrefectHTTPStatusError",
        "'40[13] .*' for url '(?P<url>[^']+)'",
        "The Prefect server refuses the login at {url}: set PREFECT_API_AUTH_STRING to "
        "USER:PASSWORD.",
    ),
    Explanation(
        "prefect.exceptions.PrefectException", "", "The Prefect server: {text}. " + PREFECT
    ),
    Explanation("httpx.HTTPError", "", "The Prefect server does not answer: {text}. " + PREFECT),
    Explanation(
        "sqlalchemy.exc.DatabaseError",
        "file is not a database|malformed",
        "The database of MLflow is damaged: take var/mlflow.db from a backup. Without one, move it "
        "away; the next run starts a new registry.",
    ),
    Explanation(
        "sqlalchemy.exc.DatabaseError",
        "database is locked",
        "Another program has locked MLflow's database var/mlflow.db: end it and run again.",
    ),
    Explanation(
        "sqlalchemy.exc.DatabaseError",
        "disk is full",
        "The disk with var/mlflow.db is full: make room there and run again.",
    ),
    Explanation(
        "sqlalchemy.exc.DatabaseError",
        "readonly|unable to open",
        "MLflow's database var/mlflow.db cannot be written to: correct the rights of the file and "
        "its folder.",
    ),
    Explanation(
        "sqlalchemy.exc.SQLAlchemyError",
        "",
        f"MLflow's database ({MLFLOW}) fails: {{text}}.",
    ),
    Explanation(
        "mlflow.exceptions.MlflowException",
        r"out-of-date database schema \(found version (?P<found>\w+), but expected (?P<own>\w+)",
        "MLflow's database has the schema {found}, and this MLflow needs {own}: back it up and run "
        f"`mlflow db upgrade` on it ({MLFLOW}), or install the MLflow that wrote it.",
    ),
    Explanation(
        "mlflow.exceptions.MlflowException",
        "API request to (?P<url>https?://[^/]+).* failed with exception",
        "No MLflow server answers at {url}: start it, or correct MLFLOW_TRACKING_URI; without it "
        "MLflow is in var/.",
    ),
    Explanation(
        "mlflow.exceptions.MlflowException",
        "not in a valid JSON format",
        "The address in MLFLOW_TRACKING_URI answers with a page, not as an MLflow server: correct "
        "it, or log in at the proxy before it (MLFLOW_TRACKING_TOKEN).",
    ),
    Explanation(
        "mlflow.exceptions.MlflowException",
        "error code 40[13]",
        "The MLflow server refuses the login: set MLFLOW_TRACKING_USERNAME and "
        "MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN.",
    ),
    Explanation("mlflow.exceptions.MlflowException", "", "MLflow: {text}"),
    Explanation(
        "builtins.ModuleNotFoundError",
        "'psycopg2'",
        "The driver of PostgreSQL is psycopg: let the address in MLFLOW_TRACKING_URI begin with "
        "postgresql+psycopg://.",
    ),
    *(
        Explanation(
            "builtins.ModuleNotFoundError",
            rf"'(?P<module>{modules})\b",
            f"{{module}} is not installed, which this needs: pip install 'pneumo[{extra}]'.",
        )
        for extra, modules in EXTRAS.items()
    ),
    Explanation(
        "botocore.exceptions.NoCredentialsError",
        "",
        "S3 needs credentials: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
    ),
    Explanation(
        "botocore.exceptions.EndpointConnectionError",
        '"(?P<url>[^"]+)"',
        "No S3 store answers at {url}: start it, or correct AWS_ENDPOINT_URL_S3.",
    ),
    Explanation("botocore.exceptions.BotoCoreError", "", "S3: {text}"),
    Explanation("botocore.exceptions.ClientError", "", "S3: {text}"),
    Explanation(
        "great_expectations.exceptions.exceptions.GreatExpectationsError",
        "",
        "Great Expectations could not check the manifest: {text}",
    ),
    Explanation(
        "torch.OutOfMemoryError",
        "",
        "The GPU has too little free memory: end what else uses it (`nvidia-smi`), or train with a "
        "smaller validate.image_size_px or a smaller model.",
    ),
    Explanation(
        "builtins.MemoryError",
        "",
        "This machine has too little free memory ({text}): end what else uses it, or train with a "
        "smaller validate.image_size_px.",
    ),
)


def explain(error: BaseException) -> str | None:
    """Return a sentence for people; None for an error that only its traceback explains."""
    if isinstance(error, PneumoError):
        return sentence(error)
    causes = list(_causes(error))[::-1]  # the deepest says most
    for row in TABLE:
        for each in causes:
            if found := row.explain(each):
                return found
    return sentence(error) if isinstance(error, OSError) else None


def in_one_line(error: BaseException) -> str:
    """Return the explanation; of an error without one, its kind and the first line of its text."""
    return explain(error) or f"{type(error).__name__}: {_first_line(error)}"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".")
