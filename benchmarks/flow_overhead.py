"""What the Prefect flow costs over `dvc repro`: when every stage must run, and when none must.

    python benchmarks/flow_overhead.py [--set section.key=value ...]

Two fresh clones, one by each driver, on the phantom. `pneumo run` starts a Prefect server of its
own, which is part of what it costs. CPU time is of all processes, the server's among them.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
MAX_SHARE, MAX_S, MAX_IDLE_S = 0.10, 15.0, 20.0


def clone(folder: Path, values: list[str]) -> Path:
    subprocess.run(["git", "clone", "--quiet", ROOT, folder], check=True)
    from flows.runs import params_file

    os.chdir(folder)
    params_file.rewrite(None, values)
    return folder


def measure(project: Path, *command: str) -> float:
    """Seconds; prints CPU seconds beside them."""
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, cwd=project, check=True, capture_output=True)
    seconds, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"  {' '.join(command)}: {seconds:.1f} s, {cpu:.1f} s of CPU", flush=True)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--set", dest="values", action="append", default=[])
    values = parser.parse_args().values
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["PREFECT_HOME"] = f"{scratch}/prefect"
        os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        by_dvc = clone(Path(scratch) / "dvc", values)
        by_flow = clone(Path(scratch) / "flow", values)
        print("every stage")
        repro, flow = measure(by_dvc, "dvc", "repro"), measure(by_flow, "pneumo", "run")
        allowed = MAX_SHARE * repro + MAX_S
        print(f"  {flow - repro:.1f} s more; at most {allowed:.1f}")
        print("no stage")
        idle = [measure(by_dvc, "dvc", "repro"), measure(by_flow, "pneumo", "run")]
        print(f"  {idle[1] - idle[0]:.1f} s more; at most {MAX_IDLE_S:.0f}")
    if flow - repro > allowed or idle[1] - idle[0] > MAX_IDLE_S:
        sys.exit(1)


if __name__ == "__main__":
    main()
