"""A training's events as an MLflow run to look at, live.

No training waits for the tracker: a thread of its own carries the values, keeps what the tracker
does not take and tries again.
"""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from pneumo_core.params import TrainParams
from pneumo_core.training.events import (
    EpochEnded,
    Event,
    Finished,
    MicroBatchHalved,
    Sink,
    Stalled,
    Started,
)
from tasks import explanations
from tasks.graph import provenance
from tasks.tracking import connection, runs
from tasks.tracking.runs import Subject

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric

RETRY_S = 5.0
PATIENCE_S = 20.0  # with a tracker that is away when the training is over
MAX_METRICS = 1000  # MLflow's limit for a batch

logger = logging.getLogger(__name__)


@contextmanager
def training_run(subject: Subject, params: TrainParams) -> Iterator[Sink]:
    """A sink that writes one run below that of the sweep, with the machine's own figures.

    A training that was killed goes on in the run that it began. One that fails fails the sweep.
    """
    try:
        client = connection.connect()
        sweep = runs.of_sweep(client, params)
        client.update_run(sweep, status="RUNNING")
        run_id = _open(client, subject, sweep)
    except Exception as error:  # every kind of database and network failure
        why = explanations.in_one_line(error)
        logger.warning("MLflow is not to be reached, the run is only in files: %s", why)
        yield lambda _: None
        return
    sender = MetricSender(client, run_id)
    status = "FAILED"
    try:
        with _system_metrics(run_id):
            yield lambda event: sender.take(_values(event), getattr(event, "epoch", 0))
        status = "FINISHED"
    finally:
        sender.close()
        with connection.copying("the end of the run"):
            client.set_terminated(run_id, status)
            if status == "FAILED":
                client.set_terminated(sweep, status)


def _open(client: "MlflowClient", subject: Subject, sweep: str) -> str:
    same = subject.tags() | provenance.tags()
    interrupted = runs.find(client, same, "attributes.status != 'FINISHED'")
    if interrupted is None:
        return runs.begin(client, subject, sweep)
    client.update_run(interrupted, status="RUNNING")
    return interrupted


def _values(event: Event) -> dict[str, float]:
    match event:
        case Started():
            return {"num_trainable": event.num_trainable}
        case EpochEnded():
            return {name: value for name, value in vars(event).items() if name != "epoch"}
        case MicroBatchHalved() | Finished():
            return vars(event)
        case Stalled():
            return {"stalled_s": event.seconds}
        case _:
            return {}


@contextmanager
def _system_metrics(run_id: str) -> Iterator[None]:
    with ExitStack() as stack:
        with connection.copying("the machine's figures"):
            from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

            monitor = SystemMetricsMonitor(run_id, resume_logging=True)
            monitor.start()
            stack.callback(monitor.finish)
        yield


class MetricSender:
    """Carries metrics to a run in their order, whenever the tracker takes them."""

    def __init__(self, client: "MlflowClient", run_id: str) -> None:
        self._client, self._run_id = client, run_id
        self._pending: list[Metric] = []
        self._news, self._closing = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._deliver, name="mlflow-courier", daemon=True)
        self._thread.start()

    def take(self, values: dict[str, float], step: int) -> None:
        from mlflow.entities import Metric

        now_ms = int(time.time() * 1000)
        self._pending += [Metric(name, value, now_ms, step) for name, value in values.items()]
        self._news.set()

    def close(self) -> None:
        """Waits until everything is delivered, or for a while."""
        self._closing.set()
        self._news.set()
        self._thread.join(PATIENCE_S)
        if self._pending:
            logger.warning("MLflow did not take %d values: see var/events.", len(self._pending))

    def _deliver(self) -> None:
        warned = False
        while self._pending or not self._closing.is_set():
            self._news.wait()
            self._news.clear()
            while batch := self._pending[:MAX_METRICS]:
                try:
                    self._client.log_batch(self._run_id, metrics=batch)
                except Exception as error:  # every kind of database and network failure
                    if not warned:
                        why = explanations.in_one_line(error)
                        logger.warning("MLflow is away, values wait for it: %s", why)
                    warned = True
                    time.sleep(RETRY_S)
                else:
                    del self._pending[: len(batch)]
