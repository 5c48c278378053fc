"""One run from settings to exit code: tables, checks, figures, report, and a last line that sums up."""

import logging
import signal
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from dog_breeds_tables import log as logs
from dog_breeds_tables import report
from dog_breeds_tables.errors import ExitCode, Stopped, TablesError
from dog_breeds_tables.figures import Figures, Tables
from dog_breeds_tables.project import Check, Project, judged
from dog_breeds_tables.settings import Settings
from dog_breeds_tables.watch import answering

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Run:
    """What a run has found so far."""

    started: float = field(default_factory=time.monotonic)
    checks: list[Check] = field(default_factory=list)
    figures: Figures | None = None

    def result(self, code: ExitCode) -> dict[str, Any]:
        """The figures of the run, as its last log line and its JSON file have them."""
        return {
            "exit_code": int(code),
            "outcome": code.name.lower(),
            "seconds": round(time.monotonic() - self.started, 3),
            "checks": len(self.checks),
            "checks_passed": sum(check.status == "pass" for check in self.checks),
            **(self.figures.rows | {"null_rates": self.figures.null_rates} if self.figures else {}),
        }


def main(environ: Mapping[str, str]) -> int:
    """Runs the job as `environ` says and returns its exit code; never raises for what can go wrong outside it."""
    logs.configure()
    run = Run()
    try:
        settings = Settings.from_environment(environ)
        with tempfile.TemporaryDirectory(prefix="dog-breeds-tables-", ignore_cleanup_errors=True) as work:
            _stoppable()
            code, message = _tables(settings, run, work)
    except TablesError as error:
        code, message = error.exit_code, str(error)
    except Stopped as stop:
        code, message = ExitCode.STOPPED, f"stopped by {stop}; run again, whatever was made is made anew"
    except Exception:
        log.exception("unexpected failure; this is a fault of the program")
        code, message = ExitCode.UNEXPECTED, "failed unexpectedly; the lines above say where"
    level = logging.INFO if code is ExitCode.COMPLETE else logging.ERROR
    log.log(level, "%s", message, extra={"fields": run.result(code)})
    return int(code)


def _tables(settings: Settings, run: Run, work: str) -> tuple[ExitCode, str]:
    """Builds, counts and reports. Raises a TablesError, after the report of it is written."""
    log.info("making %s from %s in %s", settings.tables_dataset, settings.raw_dataset, settings.project_id)
    ended: TablesError | None = None
    code, message = ExitCode.COMPLETE, ""
    try:
        with answering(settings):
            project = Project(settings, work)
            project.look_at_the_source()
            run.checks = project.build()
            run.figures = Tables(settings).figures()
        judged(run.checks, f"{settings.tables_dataset}.breeds_quarantine")
        rows = run.figures.rows
        made = f"{rows['dim_breeds']} breeds and {rows['temperaments']} temperaments"
        message = f"{made}; all {len(run.checks)} checks passed"
    except TablesError as error:
        code, message, ended = error.exit_code, str(error), error
    if settings.report:
        page = report.html(f"Dog breeds, run {settings.run_id}", message, run.checks, run.figures)
        report.write(settings.report, page, run.result(code))
        log.info("the report is in %s.html", settings.report)
    if ended:
        raise ended
    return code, message


def _stoppable() -> None:
    """Turns the first SIGTERM or SIGINT into Stopped; later ones must not disturb the way out."""

    def stop(number: int, _frame: FrameType | None) -> None:
        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, signal.SIG_IGN)
        raise Stopped(signal.Signals(number).name)

    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, stop)
