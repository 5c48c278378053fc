"""Ctrl-C on `airflow dags test`: no other try will come for the job, and no on_kill."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk.execution_time.supervisor import InProcessTestSupervisor
from tests.gcp_jobs.tries import BACKENDS, OPERATORS, SPEC

from gcp_jobs import by_hand
from gcp_jobs.errors import NotFound
from gcp_jobs.model import JobRef, JobState

pytestmark = pytest.mark.airflow


@pytest.fixture(autouse=True)
def _heeds_ctrl_c() -> Iterator[None]:
    """Python leaves SIGINT ignored where it was started so, as a shell's background jobs are."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("backend", list(BACKENDS))
@pytest.mark.parametrize("deferrable", [True, False], ids=["deferred", "sync"])
def test_ctrl_c_cancels_the_job(
    emulator: Any, run_operator: Callable[..., Any], backend: str, deferrable: bool
) -> None:
    name = f"interrupted-{backend}-{deferrable}".lower().replace("_", "-")

    def states() -> list[JobState]:
        return _states(backend, name)

    def interrupt() -> None:
        end = time.monotonic() + 60
        while states() != [JobState.RUNNING] and time.monotonic() < end:
            time.sleep(0.2)
        time.sleep(1)  # the wait is on its way by then; an earlier Ctrl-C would meet the start
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with suppress(KeyboardInterrupt):  # where the task itself waits, Airflow makes a failure of it
        run_operator(
            OPERATORS[backend], name.replace("-", "_"), spec={"name": name, "args": ["seconds=600"], **SPEC},
            deferrable=deferrable, polling_period_seconds=1, verbose=False, retries=1, retry_delay=timedelta(0),
            project_id="local-project", region="europe-west1",
        )  # fmt: skip
    thread.join()
    _cancelled(states)


@pytest.mark.parametrize("backend", list(BACKENDS))
def test_ctrl_c_before_the_trigger_begins_cancels_the_job_as_the_process_ends(
    emulator: Any, run_operator: Callable[..., Any], backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(**_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(InProcessTestSupervisor, "run_trigger_in_process", interrupted)
    name, kept = (f"{what}-{backend}".replace("_", "-") for what in ("between", "kept-between"))
    for job, cancel in ((name, True), (kept, False)):
        with pytest.raises(KeyboardInterrupt):
            run_operator(
                OPERATORS[backend], job.replace("-", "_"), spec={"name": job, "args": ["seconds=600"], **SPEC},
                deferrable=True, verbose=False, cancel_on_kill=cancel, project_id="local-project",
                region="europe-west1",
            )  # fmt: skip
    assert _states(backend, name) not in ([], [JobState.CANCELLED])
    by_hand.end_deferred()  # what Python does at its exit
    _cancelled(lambda: _states(backend, name))
    assert _states(backend, kept) not in ([], [JobState.CANCELLED])


def _states(backend: str, name: str) -> list[JobState]:
    with suppress(NotFound):
        found = BACKENDS[backend].list(JobRef(backend, "local-project", "europe-west1", name))
        return [job.state for job in found]
    return []


def _cancelled(states: Callable[[], list[JobState]]) -> None:
    end = time.monotonic() + 20
    while states() != [JobState.CANCELLED] and time.monotonic() < end:
        time.sleep(0.1)
    assert states() == [JobState.CANCELLED]
