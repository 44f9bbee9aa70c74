"""The nightly check of everything that pneumo keeps; what it finds raises the alarm."""

from prefect import flow
from prefect.client.schemas import State
from prefect.states import Completed, Failed

from flows.runs import alarm, run_name
from pneumo_core import params as all_params
from pneumo_core.errors import BusyError
from tasks import paths, project_lock
from tasks.commands import verify as body
from tasks.graph.provenance import LOCK


@flow(
    flow_run_name=run_name.of_this_run,
    on_failure=[alarm.notify_failure],
    on_crashed=[alarm.notify_failure],
)
def verify() -> State[None]:
    """Compare results, DVC's stores, ledgers, registry and bundles with what was recorded."""
    if not (LOCK.exists() or paths.PROMOTION_LEDGER.parent.exists()):
        return Completed(name="Skipped", message="No run has ended yet: nothing to verify.")
    try:
        name = all_params.load().promote.registered_model
        with project_lock.hold_project():
            faults = list(body.faults(name))
    except BusyError as error:
        return Completed(name="Skipped", message=str(error))
    except Exception as error:  # what is not known is raised again
        return alarm.failed(error)
    if faults:
        return Failed(message="; ".join(faults))
    return Completed(message=body.INTACT)
