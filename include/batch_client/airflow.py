"""Airflow's REST API, as far as one needs it to start a DAG run and to watch it."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote
from urllib.request import Request, urlopen

TIMEOUT_S = 60


class Refused(Exception):
    """Airflow answered with an error: its HTTP status and its own words."""

    def __init__(self, status: int, said: str) -> None:
        super().__init__(f"Airflow answered {status}: {said}")
        self.status = status
        self.about_token = (
            status == 403 and "token" in said.lower()
        )  # a wrong or old one is answered with 403 too


class Unreachable(Exception):
    """Nobody answers at the address."""


class Airflow:
    """Speaks for one user; every method raises Refused or Unreachable."""

    def __init__(self, url: str, token: str = "") -> None:
        self.url = url.rstrip("/")
        self._token = token

    def login(self, user: str, password: str) -> None:
        """Get a token for a user."""
        self._token = str(
            self._ask("POST", "/auth/token", {"username": user, "password": password})["access_token"]
        )

    def params(self, dag: str) -> dict[str, dict[str, Any]]:
        """Schema of each param of a DAG, its default under `default`, its description under `description`."""
        found: Mapping[str, Any] = self._ask("GET", f"/api/v2/dags/{quote(dag)}/details").get("params") or {}
        return {
            name: {
                **(param.get("schema") or {}),
                "default": param.get("value"),
                "description": param.get("description") or "",
            }
            for name, param in found.items()
        }

    def start(self, dag: str, conf: Mapping[str, Any], run_id: str | None) -> str:
        """Start a run now; gives its id."""
        body: dict[str, Any] = {"logical_date": None, "conf": dict(conf)}
        if run_id:
            body["dag_run_id"] = run_id
        return str(self._ask("POST", f"/api/v2/dags/{quote(dag)}/dagRuns", body)["dag_run_id"])

    def state(self, dag: str, run: str) -> str:
        """State of a run: queued, running, success or failed."""
        return str(self._ask("GET", self._run(dag, run))["state"])

    def tasks(self, dag: str, run: str) -> list[dict[str, Any]]:
        """The run's task instances."""
        return list(self._ask("GET", f"{self._run(dag, run)}/taskInstances")["task_instances"])

    def xcom(self, dag: str, run: str, task: str, key: str) -> Any:
        """A value that a task left; None where there is none."""
        path = f"{self._run(dag, run)}/taskInstances/{quote(task)}/xcomEntries/{quote(key)}"
        try:
            return self._ask("GET", path)["value"]
        except Refused as error:
            if error.status == 404:
                return None
            raise

    def log(self, dag: str, run: str, task: str, attempt: int) -> list[dict[str, Any]]:
        """The whole log of a try so far, an entry a line: timestamp, level, event."""
        path = f"{self._run(dag, run)}/taskInstances/{quote(task)}/logs/{attempt}?full_content=true"
        entries = self._ask("GET", path).get("content") or []
        return [entry if isinstance(entry, dict) else {"event": str(entry)} for entry in entries]

    def page(self, dag: str, run: str) -> str:
        """The run's page in the UI."""
        return f"{self.url}/dags/{quote(dag)}/runs/{quote(run, safe='')}"

    def _run(self, dag: str, run: str) -> str:
        return f"/api/v2/dags/{quote(dag)}/dagRuns/{quote(run, safe='')}"

    def _ask(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        data = None if body is None else json.dumps(body).encode()
        try:
            with urlopen(
                Request(f"{self.url}{path}", data, headers, method=method), timeout=TIMEOUT_S
            ) as answer:
                return dict(json.load(answer))
        except HTTPError as error:
            with error:
                raise Refused(error.code, _said(error.read().decode(errors="replace"))) from error
        except (URLError, TimeoutError, ConnectionError) as error:
            raise Unreachable(f"nobody answers at {self.url}: {getattr(error, 'reason', error)}") from error


def _said(text: str) -> str:
    try:
        detail = json.loads(text)["detail"]
    except (ValueError, KeyError, TypeError):
        return text[:500]
    return detail if isinstance(detail, str) else json.dumps(detail)
