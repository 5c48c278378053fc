"""Watches a run: prints its job, its state and its log, until the end."""

import time
from collections import Counter
from typing import Any

from batch_client.airflow import Airflow

JOB = "gcp_jobs_owner"
LINK = "gcp_jobs_batch_job_link"
LOOK_S = 2.0
ENDED = ("success", "failed")
LOUD = ("error", "critical")  # shown even where Airflow's own pages fold its own lines away


class Watch:
    """One run of a DAG."""

    def __init__(self, airflow: Airflow, dag: str, run: str) -> None:
        self._airflow, self._dag, self._run = airflow, dag, run
        self._printed: Counter[tuple[str, str, str]] = Counter()
        self._state = ""
        self.job = ""

    def until_submitted(self, patience_s: float) -> bool:
        """Wait until a task has its job; False when that takes too long or the run has ended without one."""
        until = time.monotonic() + patience_s
        while not self._look_for_job():
            if self._look() in ENDED or time.monotonic() > until:
                return self._look_for_job()
            time.sleep(LOOK_S)
        return True

    def until_ended(self) -> bool:
        """Follow state and log to the end; whether it ended well."""
        while True:
            state = self._airflow.state(self._dag, self._run)
            if state not in ENDED:
                self._tell(state)
            self._look_for_job()
            self._follow()
            if state in ENDED:
                self._tell(state)
                return state == "success"
            time.sleep(LOOK_S)

    def _look(self) -> str:
        state = self._airflow.state(self._dag, self._run)
        self._tell(state)
        return state

    def _tell(self, state: str) -> None:
        if state != self._state:
            print(f"state: {state}", flush=True)
            self._state = state

    def _look_for_job(self) -> bool:
        if not self.job:
            for task in self._airflow.tasks(self._dag, self._run):
                job = self._airflow.xcom(self._dag, self._run, task["task_id"], JOB)
                if job:
                    self.job = str(job)
                    link = self._airflow.xcom(self._dag, self._run, task["task_id"], LINK)
                    print(f"job: {self.job}\nlink: {link}", flush=True)
                    break
        return bool(self.job)

    def _follow(self) -> None:
        for task in self._airflow.tasks(self._dag, self._run):
            for attempt in range(1, int(task.get("try_number") or 0) + 1):
                self._print(f"{task['task_id']}/{attempt}", task["task_id"], attempt)

    def _print(self, which: str, task: str, attempt: int) -> None:
        now: Counter[tuple[str, str, str]] = Counter()
        folded = False
        for entry in self._airflow.log(self._dag, self._run, task, attempt):
            event = str(entry.get("event", ""))
            if event.startswith("::"):
                folded = event.startswith("::group::")
                continue
            key = (which, str(entry.get("timestamp", "")), event)
            now[key] += 1
            if now[key] > self._printed[key] and (not folded or entry.get("level") in LOUD):
                print("\n".join([f"{_time(entry)} {event}", *_errors(entry)]), flush=True)
        self._printed |= now


def _time(entry: dict[str, Any]) -> str:
    return f"{str(entry.get('timestamp') or '')[11:19]} {str(entry.get('level') or '').upper():<7}".strip()


def _errors(entry: dict[str, Any]) -> list[str]:
    """What an entry says of the exceptions that it tells of, without their frames."""
    details = entry.get("error_detail") or []
    return [
        f"{each.get('exc_type', '')}: {each.get('exc_value', '')}"
        for each in details
        if isinstance(each, dict)
    ]
