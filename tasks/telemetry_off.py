"""What must be in the environment before the stack is imported.

No package phones home by default. A variable that is set already is left as it is, so each of
these can be turned back on from outside.
"""

import os

DEFAULTS = {
    "DO_NOT_TRACK": "1",
    "DVC_NO_ANALYTICS": "1",
    "GX_ANALYTICS_ENABLED": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": "https://none.invalid",  # by default any page may ask
    "RAY_USAGE_STATS_ENABLED": "0",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",  # its first start migrates
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # 4 s; by default it waits minutes for a dead server
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": (  # slots outlive no crash of the server
        "prefect.server.concurrency.lease_storage.filesystem"
    ),
    "AWS_EC2_METADATA_DISABLED": "true",  # else S3 without credentials waits for a timeout
}


def apply() -> None:
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
