"""`make run`: the dog breeds ingestion once, through Airflow, the Google clients and the emulator, with a summary."""

import fcntl
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from laptop import environment, services, summary
from laptop.child import Child, ChildFailed
from laptop.landed import landed
from laptop.place import ROOT, Place
from laptop.progress import Progress


@contextmanager
def alone(place: Place) -> Iterator[None]:
    """One command at a time in a place."""
    with (place.state / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SystemExit(
                "run: another `make run` is at work in this checkout; wait for its end"
            ) from None
        yield


def migrate(place: Place, env: Mapping[str, str], progress: Progress) -> None:
    """Makes Airflow's database, or brings it up to this Airflow; nothing to do where this version did it before."""
    done = place.airflow_home / f"migrated-{version('apache-airflow')}"
    if not done.exists():
        with Child("migrate", ["airflow", "db", "migrate"], env, place.logs, ROOT) as process:
            process.finish(progress, "preparing Airflow's database")
        done.touch()
    progress.say("Airflow's database is ready")


def dag(place: Place, env: Mapping[str, str], dag_id: str, progress: Progress) -> None:
    """Runs a DAG in the Airflow of this place and tells what it does; ChildFailed when it fails."""
    migrate(place, env, progress)
    with Child("dag", ["airflow", "dags", "test", dag_id], env, place.logs, ROOT) as test:
        progress.say(f"airflow dags test {dag_id} (its whole output: {test.log})")
        with test.log.open() as output:

            def ended() -> bool:
                for line in output:
                    if told := summary.telling(line):
                        progress.say(told)
                return test.ended()

            progress.wait(ended, "the DAG runs", timeout_s=600)
        test.finish(progress, dag_id)


def main(state: Path, dag_id: str) -> None:
    """Exit code 0 only when the DAG succeeded."""
    progress = Progress()
    place = Place.of("run", state)
    with alone(place), ExitStack() as stack:
        try:
            exports, api = services.start(stack, place, progress)
            env = environment.airflow(place, exports, api)
            since = datetime.now(UTC)
            dag(place, env, dag_id, progress)
            left = landed(place, env, exports["GCP_EMULATOR_URL"], dag_id)
            summary.show(place, exports, since, progress.seconds, left)
        except ChildFailed as error:
            sys.exit(f"run: {error}")
        except KeyboardInterrupt:
            sys.exit("run: stopped; what it started is ended")
