"""`airflow dags test`: task, trigger and resumed task are one process, and whoever ends that ends all of them.

Ctrl-C reaches the operator as KeyboardInterrupt and the trigger's `run` as its cancellation. Between the two no code of
ours runs: what was deferred there is ended as the process ends.
"""

import atexit
from collections.abc import Callable

from airflow.sdk.execution_time import task_runner

_deferred: dict[str, Callable[[], object]] = {}


def runs_trigger(trigger_id: int | None) -> bool:
    """Whether a trigger is run by hand: a triggerer gives each a number before it runs it."""
    return trigger_id is None


def runs_task() -> bool:
    """Whether this process runs a task by hand, with Airflow's supervisor in it (of 3.3); a worker's is another."""
    return type(getattr(task_runner, "SUPERVISOR_COMMS", None)).__name__ == "InProcessSupervisorComms"


def deferred(run: str, cancel: Callable[[], object]) -> None:
    """Have a run cancelled if this process ends before its trigger begins."""
    if runs_task():
        _deferred[run] = cancel


def taken(run: str) -> None:
    """The run's trigger has begun, and sees to its end."""
    _deferred.pop(run, None)


@atexit.register
def end_deferred() -> None:
    """Cancel what no trigger has taken."""
    while _deferred:
        _, cancel = _deferred.popitem()
        cancel()
