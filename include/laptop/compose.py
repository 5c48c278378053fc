"""`make compose-test`: builds the Compose stack, has breeds loaded and made into tables there, takes it down."""

import json
import re
import subprocess
from pathlib import Path
from urllib.request import urlopen

from laptop import buckets, environment
from laptop.child import ChildFailed
from laptop.landed import landed
from laptop.place import INGESTION, TABLES, Place
from laptop.progress import Progress
from laptop.rest import AirflowApi
from laptop.stack import Stack, blamed

BUILD_S = 1200
UP_S = 600
SLOWLY = {
    "api_base_url": "http://breeds-api:8080/faults/slow-20/v1"
}  # it ends after somebody listens for its end
TOLD = re.compile(r"Told that execution \S+ has ended")
DESTINATION = environment.DATASETS | {environment.DESTINATION: "bigquery", "GCP_JOBS_ENVIRONMENT": "local"}


class Tested:
    """The running stack, asked through Airflow's REST API, at the emulator, and in its containers."""

    def __init__(self, stack: Stack, place: Place, api: AirflowApi, progress: Progress) -> None:
        self._stack, self._place, self._api, self._progress = stack, place, api, progress

    def ingest(self) -> None:
        """Starts the ingestion and follows each of its runs: their rows must land, and the ledger must know."""
        api, say = self._api, self._progress.say
        self._progress.wait(lambda: api.knows(INGESTION), f"the dag-processor to find {INGESTION}")
        run_id = api.start(INGESTION, SLOWLY)
        say(f"{INGESTION} {run_id} started through the REST API")
        for each in api.runs(INGESTION):  # also the one that Airflow itself has started
            self._follow(INGESTION, each, "ingest")
        for task in api.tasks(INGESTION, run_id):
            say(f"{task}: {json.dumps(api.result(INGESTION, run_id, task))}")
        told = TOLD.search(log := api.log(INGESTION, run_id, "ingest"))
        if told is None:
            raise SystemExit(f"compose-test: no event ended the wait; the task's log:\n{log}")
        say(told[0])
        self._rows(
            INGESTION, f"{api.result(INGESTION, run_id, 'check')['rows']} rows in dog_breeds_raw_local."
        )
        self._tables(run_id)
        self._recorded(api.result(INGESTION, run_id, "ingest")["execution"])

    def _tables(self, ingested: str) -> None:
        """The run that the asset's update has started: its tables, its report, and the task's link to that."""
        api, found = self._api, list[str]()

        def started() -> bool:
            found[:] = [
                run for run in api.runs(TABLES) if (INGESTION, ingested) in api.caused_by(TABLES, run)
            ]
            return bool(found)

        self._progress.wait(started, f"{TABLES} to start on the asset")
        self._follow(TABLES, found[0], "tables")
        self._rows(TABLES, " rows in dog_breeds_local.dim_breeds")
        emulator, folder = self._stack.emulator_url, f"{TABLES}/{found[0].replace(':', '')}"
        report = buckets.newest(emulator, environment.REPORTS, folder, ".html")
        link = api.links(TABLES, found[0], "tables").get("Report")
        if not report or link != report:
            raise SystemExit(f"compose-test: the task's Report link is {link}, the bucket has {report}")
        with urlopen(
            link, timeout=10
        ) as answer:  # as a browser would: no identity; HTTPError where it is refused
            kind, page = answer.headers["Content-Type"], answer.read()
        if b"<h2>Rows</h2>" not in page:
            raise SystemExit(f"compose-test: {link} is no report:\n{page[:2000]!r}")
        self._progress.say(
            f"the task's link Report leads there: HTTP {answer.status}, {kind}, {len(page)} bytes"
        )

    def _follow(self, dag_id: str, run_id: str, task_id: str) -> None:
        state = self._api.follow(dag_id, run_id, self._progress)
        self._progress.say(f"{dag_id} {run_id}: {state}")
        if state != "success":
            log = self._api.log(dag_id, run_id, task_id)
            raise SystemExit(
                f"compose-test: {run_id} is {state}; log of {task_id}:\n{log}\n{self._stack.keep_logs()}"
            )

    def _rows(self, dag_id: str, wanted: str) -> None:
        lines = list(landed(self._place, DESTINATION, self._stack.emulator_url, dag_id))
        for label, text in lines:
            self._progress.say(f"{label or 'and'}: {text}")
        if not any(wanted in text for _, text in lines):
            raise SystemExit(f"compose-test: BigQuery does not hold {wanted!r}")

    def _recorded(self, execution: str) -> None:
        """The ledger has it, or will: what it did not take at once is written with another task's record."""
        found = list[str]()

        def there() -> bool:
            shown = self._stack.inside("scheduler", "python", "-m", "gcp_jobs.ledger", "list")
            found[:] = [line for line in shown.splitlines() if execution in line and "SUCCEEDED" in line]
            return bool(found)

        self._progress.wait(there, f"the ledger to have {execution}")
        self._progress.say(f"ledger: {' '.join(found[0].split())}")


def _engine_answers() -> bool:
    try:
        return subprocess.run(["docker", "info"], capture_output=True, timeout=30).returncode == 0
    except FileNotFoundError:
        return False


def main(state: Path) -> None:
    """Exit code 0 only when all runs succeeded, rows, tables and report are there, and the stack is gone."""
    progress = Progress()
    if not _engine_answers():
        raise SystemExit(
            "compose-test: no Docker engine answers (`docker info` failed): "
            "start Docker, or point DOCKER_HOST at an engine"
        )
    place = Place.of("compose-test", state)
    stack = Stack(place, progress)
    try:
        stack.compose("building the images", "build", timeout_s=BUILD_S)
        progress.say("images built")
        stack.compose(
            "bringing the stack up", "up", "--detach", "--wait", f"--wait-timeout={UP_S}", timeout_s=UP_S + 60
        )
        progress.say(f"healthy: Airflow at {stack.url}, emulator at {stack.emulator_url}")
        password = json.loads(stack.inside("apiserver", "cat", "/keys/passwords.json"))["admin"]
        with AirflowApi.login(stack.url, "admin", password) as api:
            Tested(stack, place, api, progress).ingest()
    except ChildFailed as error:
        logs = stack.keep_logs()
        said = blamed(str(error), logs.read_text(errors="replace"))
        raise SystemExit(f"compose-test: {error}\n{said}\nthe services' logs: {logs}") from error
    finally:
        stack.compose(
            "taking the stack down", "down", "--volumes", "--remove-orphans", "--timeout=10", timeout_s=120
        )
    progress.say("compose-test: passed, the stack is gone")
