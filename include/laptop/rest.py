"""A small client of Airflow's REST API: log in, start a DAG run, follow it to its end."""

from dataclasses import dataclass
from typing import Any

import httpx

from laptop.progress import Progress

ENDED = frozenset({"success", "failed"})


class AirflowRefused(Exception):
    """Airflow's API answered with an error; the text is its own."""


@dataclass(slots=True)
class AirflowApi:
    """Speaks for one user; `client` carries the token."""

    client: httpx.Client

    def __enter__(self) -> "AirflowApi":
        return self

    def __exit__(self, *raised: object) -> None:
        self.client.close()

    @classmethod
    def login(cls, base_url: str, username: str, password: str) -> "AirflowApi":
        """Raises AirflowRefused when the user or the password is wrong."""
        client = httpx.Client(base_url=base_url, timeout=30)
        try:
            answer = client.post("/auth/token", json={"username": username, "password": password})
            token = cls._checked(answer)["access_token"]
        except (AirflowRefused, httpx.HTTPError):
            client.close()
            raise
        client.headers["Authorization"] = f"Bearer {token}"
        return cls(client)

    @staticmethod
    def _checked(answer: httpx.Response) -> dict[str, Any]:
        if answer.is_error:
            raise AirflowRefused(
                f"{answer.request.method} {answer.request.url}: {answer.status_code} {answer.text}"
            )
        return dict(answer.json())

    def knows(self, dag_id: str) -> bool:
        """Whether the dag-processor has stored the DAG already."""
        return self.client.get(f"/api/v2/dags/{dag_id}").is_success

    def start(self, dag_id: str, conf: dict[str, Any] | None = None) -> str:
        """Starts a run now and returns its id."""
        body = {"logical_date": None, "conf": conf or {}}
        return str(self._checked(self.client.post(f"/api/v2/dags/{dag_id}/dagRuns", json=body))["dag_run_id"])

    def runs(self, dag_id: str) -> list[str]:
        """The ids of the DAG's runs, oldest first."""
        answer = self.client.get(f"/api/v2/dags/{dag_id}/dagRuns", params={"order_by": "run_after"})
        return [str(run["dag_run_id"]) for run in self._checked(answer)["dag_runs"]]

    def tasks(self, dag_id: str, run_id: str) -> dict[str, str]:
        """Task id -> state of every task instance of the run."""
        answer = self.client.get(f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances")
        return {task["task_id"]: str(task["state"]) for task in self._checked(answer)["task_instances"]}

    def follow(self, dag_id: str, run_id: str, progress: Progress, timeout_s: float = 300) -> str:
        """Says every change of a task's state; returns the run's final state. Raises TimeoutError."""
        seen: dict[str, str] = {}
        state = ""

        def ended() -> bool:
            nonlocal state
            for task, now in self.tasks(dag_id, run_id).items():
                if seen.get(task) != now:
                    seen[task] = now
                    progress.say(f"{task}: {now}")
            state = str(self._checked(self.client.get(f"/api/v2/dags/{dag_id}/dagRuns/{run_id}"))["state"])
            return state in ENDED

        progress.wait(ended, f"{dag_id} {run_id}", timeout_s)
        return state

    def result(self, dag_id: str, run_id: str, task_id: str) -> Any:
        """What the task returned (its XCom `return_value`)."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/return_value"
        return self._checked(self.client.get(path, params={"deserialize": False}))["value"]

    def links(self, dag_id: str, run_id: str, task_id: str) -> dict[str, str | None]:
        """The task's extra links: name -> address, None where there is none yet."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/links"
        return dict(self._checked(self.client.get(path))["extra_links"])

    def caused_by(self, dag_id: str, run_id: str) -> set[tuple[str, str]]:
        """(DAG, run) of the tasks whose updates of assets started this run."""
        answer = self.client.get(f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/upstreamAssetEvents")
        events = self._checked(answer)["asset_events"]
        return {(str(event["source_dag_id"]), str(event["source_run_id"])) for event in events}

    def log(self, dag_id: str, run_id: str, task_id: str) -> str:
        """The log of the task's first try, what its trigger wrote included, a line an entry."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/logs/1"
        answer = self.client.get(path, params={"full_content": True}, headers={"Accept": "application/json"})
        entries = self._checked(answer)["content"] or []
        return "\n".join(str(entry["event"] if isinstance(entry, dict) else entry) for entry in entries)
