"""Forks the processes of the small Airflow out of one that has loaded everything: thousands of them in minutes.

`python -m benchmarks.chaos.zygote SOCKET`: each connection to the socket is a process; what it is, its first message
says.
"""

import ctypes
import gc
import os
import platform
import signal
import sys
from contextlib import suppress
from importlib import import_module
from multiprocessing.connection import Connection, Listener
from typing import Any

PARENT_GONE = 1  # PR_SET_PDEATHSIG of prctl(2)


def die_with_parent(parent: int) -> None:
    """Be killed when the parent ends, however that ends (where the system knows how)."""
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(PARENT_GONE, signal.SIGKILL)
    if os.getppid() != parent:  # it has ended already
        os._exit(2)


LAZILY = (
    "benchmarks.chaos.safeguards", "benchmarks.chaos.triggerer", "benchmarks.chaos.worker", "gcp_jobs.backends.batch",
    "gcp_jobs.backends.choice", "gcp_jobs.backends.cloud_run", "gcp_jobs.identity", "gcp_jobs.ledger.connection",
    "gcp_jobs.reconcile", "gcp_jobs.triggers.job", "gcp_jobs.triggers.pause",
    "airflow.providers.google.common.hooks.base_google", "airflow.sdk.execution_time.cache",
    "airflow.sdk.execution_time.context", "croniter",
)  # fmt: skip


def load() -> None:
    """Import what the processes will need; no channel may be opened before a fork."""
    from gcp_jobs.clients import _MODULES

    for name in {*LAZILY, *(name for pair in _MODULES.values() for name in pair)}:
        import_module(name)
    platform.platform()  # asks a program, once


def serve(path: str) -> None:
    """Fork for each who comes."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    from benchmarks.chaos.safeguards import quicker

    quicker(float(os.environ["CHAOS_SETTLE_S"]), float(os.environ["CHAOS_REACH_S"]))
    gc.collect()
    gc.freeze()  # what is loaded stays shared with the children
    mine = os.getpid()
    with Listener(path, "AF_UNIX", backlog=64) as listener:
        while True:
            line = listener.accept()
            if os.fork() == 0:
                die_with_parent(mine)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                _become(line)
            line.close()


def _become(line: "Connection[Any, Any]") -> None:
    from benchmarks.chaos import safeguards, triggerer, worker

    code = 1
    try:
        line.send(os.getpid())
        kind, order, without = line.recv()
        if without:
            safeguards.SAFEGUARDS[without]()
        os.environ["GCP_JOBS_AIRFLOW_SERVICE_ACCOUNT"] = f"{kind}@local-project.iam.gserviceaccount.com"
        {"worker": worker.main, "triggerer": triggerer.main, "reconcile": worker.reconcile}[kind](line, order)
        code = 0
    except (EOFError, BrokenPipeError, ConnectionResetError):
        code = 2  # whoever ordered it has gone
    finally:
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    die_with_parent(os.getppid())
    load()
    serve(sys.argv[1])
