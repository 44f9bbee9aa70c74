"""A local PostgreSQL from Debian's packages; its cluster is made where it is missing."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from pneumo_core.errors import PipelineError

OWNER = "postgres"  # of the cluster, where root starts it: the server refuses to be root
USER = "pneumo"


def programs() -> Path:
    """Return the folder of initdb and postgres.

    Raises:
        PipelineError: this machine has no PostgreSQL.
    """
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parts[4]))
    found = shutil.which("postgres")
    folders = [*reversed(debian), *([Path(found).parent] if found else [])]
    for folder in folders:
        if (folder / "initdb").is_file():
            return folder
    raise PipelineError(
        "No PostgreSQL on this machine: apt-get install postgresql, or use mlflow/compose.yaml."
    )


def make_cluster(folder: Path, password: str) -> None:
    """Make a cluster unless the folder has one.

    Raises:
        PipelineError: initdb failed.
    """
    if (folder / "PG_VERSION").is_file():
        return
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w") as secret:
        secret.write(password)
        secret.flush()
        if os.geteuid() == 0:
            for path in (folder, secret.name):
                shutil.chown(path, OWNER, OWNER)
        made = subprocess.run(
            [
                *as_owner(),
                str(programs() / "initdb"),
                f"--pgdata={folder}",
                f"--username={USER}",
                f"--pwfile={secret.name}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C.UTF-8",
                "--no-instructions",
            ],
            capture_output=True,
            text=True,
            check=False,
        )
    if made.returncode:
        raise PipelineError(f"initdb made no cluster in {folder}: {made.stderr.strip()}")


def server_command(folder: Path, port: str) -> tuple[str, ...]:
    """Return the command of a server that listens on 127.0.0.1 and on no socket file."""
    server = str(programs() / "postgres")
    return (*as_owner(), server, "-D", str(folder), "-h", "127.0.0.1", "-p", port, "-k", "")


def as_owner() -> tuple[str, ...]:
    if os.geteuid() != 0:
        return ()
    return ("setpriv", f"--reuid={OWNER}", f"--regid={OWNER}", "--init-groups")
