"""`make images-test`: the job images built by Docker, and run as containers against the emulator on this machine.

The emulator itself runs an image's files with this machine's Python; here its Dockerfile is followed to the letter.
"""

import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from benchmarks import adc
from laptop import environment, services
from laptop.child import ChildFailed
from laptop.landed import landed
from laptop.place import INGESTION, ROOT, STATE, TABLES, Place
from laptop.progress import Progress

IMAGES = ROOT / "include" / "images"
BUILD_S, RUN_S = 900, 300
DESTINATION = environment.DATASETS | {environment.DESTINATION: "bigquery", "GCP_JOBS_ENVIRONMENT": "local"}


class Containers:
    """Docker's command line, each call's output in a log file."""

    def __init__(self, place: Place, progress: Progress) -> None:
        self._logs, self._progress = place.logs, progress

    def build(self, name: str) -> None:
        """The image of a folder."""
        self._docker(f"build-{name}", BUILD_S, "build", "--tag", f"gcp-jobs-{name}:test", str(IMAGES / name))

    def run(self, name: str, env: Mapping[str, str], *args: str, reports: Path | None = None) -> str:
        """The last line of a container on this machine's network; ChildFailed where it does not end with 0."""
        told = [word for pair in env.items() for word in ("--env", "=".join(pair))]
        mounted = [f"--volume={reports}:/reports"] if reports else []
        words = ["run", "--rm", "--network=host", *told, *mounted, f"gcp-jobs-{name}:test", *args]
        return self._docker(f"run-{name}", RUN_S, *words).read_text().splitlines()[-1]

    def _docker(self, what: str, within_s: float, *words: str) -> Path:
        log = self._logs / f"docker-{what}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(["docker", *words], stdout=out, stderr=out)
            try:
                self._progress.wait(lambda: process.poll() is not None, what, within_s)
            finally:
                process.kill()
                process.wait()
        if process.returncode:
            raise ChildFailed(f"docker {what}", log, process.returncode)
        return log


def main() -> None:
    """Exit code 0 only when all images are built, rows and tables are in BigQuery, and a report is written."""
    progress, place = Progress(), Place.of("images-test", STATE)
    containers = Containers(place, progress)
    with ExitStack() as stack:
        try:
            for folder in sorted(path.parent for path in IMAGES.glob("*/Dockerfile")):
                containers.build(folder.name)
                progress.say(f"{folder.name}: built")
            exports, api = services.start(stack, place, progress)
            job = f"job@{environment.PROJECT}.iam.gserviceaccount.com"
            identity = stack.enter_context(adc.granted(job, environment.PROJECT))
            reports = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            reports.chmod(0o777)  # the container's user is none of this machine's
            rest = exports["GCP_EMULATOR_URL"]
            env = {
                "GCP_PROJECT_ID": environment.PROJECT,
                "ENVIRONMENT": "local",
                "BIGQUERY_EMULATOR_HOST": rest,
            }
            env |= {"DOG_API_BASE_URL": api, "DOG_API_KEY": environment.api_key(place)} | identity
            progress.say(containers.run("dlt_ingestion", env))
            env["REPORT"] = "/reports/of/images-test"
            progress.say(containers.run("dog_breeds_tables", env, reports=reports))
            progress.say(containers.run("batch_example", {}, "count"))
        except ChildFailed as error:
            sys.exit(f"images-test: {error}")
        for dag_id in (INGESTION, TABLES):
            for label, text in landed(place, DESTINATION, rest, dag_id):
                progress.say(f"{label or 'and'}: {text}")
        progress.say(f"report: {(reports / 'of' / 'images-test.html').stat().st_size} bytes")


if __name__ == "__main__":
    main()
