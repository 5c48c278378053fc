"""What runs in the cloud against what Airflow waits for and the ledger holds: reported, repaired, cancelled if so set.

A run is an orphan once no live task waits for it. One that neither Airflow nor the ledger knows may be another
Airflow's: it is reported and never cancelled. Whatever is repaired is the ledger alone, and only behind live tasks'
backs: they write their own ends.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from gcp_jobs.backends.base import JobBackend
from gcp_jobs.backends.census import Found, Maker
from gcp_jobs.errors import ApiError, GcpJobsError, LedgerUnavailable, NotFound
from gcp_jobs.failure import FailureClass, explain
from gcp_jobs.ledger.record import Record, Run, Source, reached, state_of
from gcp_jobs.model import ENDING, ExitInfo, JobRef, JobState, JobStatus
from gcp_jobs.ownership import ENDED

if TYPE_CHECKING:
    from gcp_jobs.ledger.ledger import Ledger

Row = Mapping[str, Any]
KEYS = 500
_IDENTITY = (
    "entry", "dag_id", "run_id", "task_id", "map_index", "try_number", "backend", "project", "region", "job",
)  # fmt: skip
NEVER = "it was asked for, and never came to be"


class Severity(StrEnum):
    """How much an issue matters: something to know, to look at, or that stood in the way."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Issue:
    """One finding. `action`: what was done about it, or what would be."""

    resource_type: str
    id: str
    severity: Severity
    message: str
    action: str

    def to_dict(self) -> dict[str, str]:
        """Give the form that goes into XCom."""
        return {name: str(value) for name, value in asdict(self).items()}


@dataclass(frozen=True, slots=True)
class Sight:
    """What Airflow says of a task: its state, whether it is known at all, and the run that it owns."""

    known: bool
    state: str | None = None
    owned: str | None = None


class Standing(StrEnum):
    """How a run stands to Airflow's tasks."""

    LIVE = "live"
    ORPHAN = "orphan"
    STRANGE = "strange"


def standing(seen: Sight | None, run: str, *, recorded: bool) -> tuple[Standing, str]:
    """Say how a run stands, and why.

    :param seen: what Airflow says of its maker, None where the run does not name one
    :param run: its full name
    :param recorded: whether our ledger knows it
    """
    if seen is None or not seen.known:
        if recorded:
            return Standing.ORPHAN, "Airflow does not know its task any more"
        return Standing.STRANGE, "neither Airflow nor the ledger knows it: perhaps another Airflow's"
    if seen.state in ENDED:
        return Standing.ORPHAN, f"its task is {seen.state}"
    if seen.owned and seen.owned != run:
        return Standing.ORPHAN, f"its task waits for {seen.owned.rpartition('/')[2]}"
    return Standing.LIVE, f"its task is {seen.state or 'about to be scheduled'}"


@dataclass(slots=True)
class Reconciliation:
    """One comparison.

    :param look: asks Airflow about a task
    :param backend: gives the backend of a run
    :param end: cancels a run and gives its confirmed status, None where it does not end
    :param ledger: None where there is none
    :param grace: how old a run must be before anything is done about it
    """

    look: Callable[[Maker], Sight]
    backend: Callable[[JobRef], JobBackend]
    end: Callable[[JobRef], JobStatus | None]
    ledger: "Ledger | None"
    now: datetime
    grace: timedelta
    cancel_orphans: bool = False
    dry_run: bool = False
    counts: Counter[str] = field(default_factory=Counter)
    issues: list[Issue] = field(default_factory=list)

    def orphans(self, found: Sequence[Found]) -> None:
        """Look at what runs in one place."""
        open_ = [each for each in found if not each.status.terminal]
        self.counts["runs"] += len(open_)
        rows = self._recorded([each.status.run_key for each in open_])
        for each in open_:
            row = rows.get(each.status.run_key)
            maker = _maker(row) if row else each.maker
            stands, why = standing(self._look(maker), each.status.ref.name, recorded=row is not None)
            self.counts[stands.value] += 1
            if stands is not Standing.LIVE:
                self._orphan(each, maker, row, stands, why)

    def trouble(self, kind: str, where: str, error: GcpJobsError) -> None:
        """Something could not be looked at."""
        self.counts["errors"] += 1
        self.issues.append(Issue(kind, where, Severity.ERROR, str(error), "left for the next time"))

    def repair(self) -> None:
        """Bring the ledger's open runs to the end that they had, unless their task is still there to do it."""
        from gcp_jobs.ledger import queries

        if self.ledger is None:
            return
        try:
            open_ = self.ledger.read(queries.unfinished(self.now - self.grace))
        except LedgerUnavailable as error:
            return self.trouble("ledger", str(self.ledger), error)
        for row in open_:
            try:
                status = self._over(row)
            except ApiError as error:
                self.trouble("ledger run", row["entry"], error)
                continue
            if status is None:
                continue
            self.counts["repaired"] += 1
            done = "would be repaired" if self.dry_run else "repaired"
            message = f"{status.ref} is {status.state}, the ledger says {state_of(row)}"
            self.issues.append(Issue("ledger run", row["entry"], Severity.INFO, message, done))
            if not self.dry_run:
                self._write(row, status)

    # orphans

    def _orphan(self, each: Found, maker: Maker | None, row: Row | None, stands: Standing, why: str) -> None:
        ref = each.status.ref
        done, severity = self._do(each, maker, row, stands)
        made = f"made by {maker}" if maker else "its maker is not known"
        self.issues.append(Issue(ref.noun, ref.name, severity, f"{each.status.state}: {why}; {made}", done))

    def _do(
        self, each: Found, maker: Maker | None, row: Row | None, stands: Standing
    ) -> tuple[str, Severity]:
        status, ref = each.status, each.status.ref
        if each.keep:
            return "left: cancel_on_kill is off", Severity.INFO
        if stands is Standing.STRANGE:
            return "left: not ours to cancel", Severity.WARNING
        if status.state in ENDING:
            return "left: it is ending", Severity.INFO
        if status.created is None or status.created > self.now - self.grace:
            return f"left: younger than {self.grace.total_seconds() / 60:g} min", Severity.INFO
        if not self.cancel_orphans:
            return "reported", Severity.WARNING
        if self.dry_run:
            return "would be cancelled", Severity.WARNING
        # a task may have been cleared or retried since the list was read
        if standing(self._look(maker), ref.name, recorded=row is not None)[0] is not Standing.ORPHAN:
            return "left: a task waits for it again", Severity.INFO
        return self._cancel(ref, row)

    def _cancel(self, ref: JobRef, row: Row | None) -> tuple[str, Severity]:
        try:
            ended = self.end(ref)
        except ApiError as error:
            self.counts["errors"] += 1
            return f"not cancelled: {error}", Severity.ERROR
        if ended is None:
            return "cancel asked for, its end is not confirmed", Severity.ERROR
        self.counts["cancelled"] += 1
        if row and row["run_uid"] in (None, ended.ref.uid, ended.ref.name):  # else the record is its twin's
            self._write(row, ended)
        return f"cancelled, it is {ended.state}", Severity.WARNING

    # the ledger

    def _over(self, row: Row) -> JobStatus | None:
        """Give the terminal status of an open run behind which no task stands, None where there is nothing to do."""
        ref = JobRef(row["backend"], row["project"], row["region"], row["job"], row["run"] or "")
        seen = self._look(_maker(row))
        if standing(seen, ref.name, recorded=True)[0] is Standing.LIVE:
            return None
        status = self._read(row, ref)
        if status is None:
            reason = "NOT_FOUND" if row["run_uid"] else "NEVER_STARTED"
            words = "it is not there any more" if row["run_uid"] else NEVER
            return JobStatus(ref, JobState.GONE, reason, words, ended=self.now)
        return status if status.terminal else None

    def _read(self, row: Row, ref: JobRef) -> JobStatus | None:
        backend = self.backend(ref)
        try:
            if row["run_uid"]:
                uid = row["run_uid"] if ref.on_batch and "/" not in row["run_uid"] else ""
                return backend.get(replace(ref, uid=uid))
            since = row["created_at"] - timedelta(minutes=5)
            found = backend.runs(ref, row["run_key"], since) if row["run_key"] else ()
            return found[-1] if found else None
        except NotFound:
            return None

    def _write(self, row: Row, status: JobStatus) -> None:
        if self.ledger is None:
            return
        try:
            self.ledger.write(self._ended(row, status))
        except LedgerUnavailable as error:
            self.trouble("ledger", str(self.ledger), error)

    def _ended(self, row: Row, status: JobStatus) -> list[Record]:
        uid = row["run_uid"] or status.ref.uid or status.ref.name
        known = {name: row[name] for name in _IDENTITY}
        run = Run(
            **known, run=status.ref.run or None, run_uid=uid, state=status.state, submitted_at=status.created,
            started_at=status.started, ended_at=status.ended or self.now, reason=status.reason or None,
        )  # fmt: skip
        return [self._judged(run, status), *reached(status, uid, self.now, Source.RECONCILE)]

    def _judged(self, run: Run, status: JobStatus) -> Run:
        """Say why it failed, as far as that shows without its template and its log."""
        if status.state is JobState.SUCCEEDED:
            return replace(run, exit_code=0)
        if status.state is JobState.GONE:
            return replace(run, failure_class=FailureClass.GONE.value, message=status.message)
        try:
            ended = self.backend(status.ref).exit_info(status)
        except ApiError:
            ended = ExitInfo()
        failure = explain(status, ended, {})
        return replace(
            run, failure_class=failure.kind.value, exit_code=ended.code, signal=ended.signal, failed_task=ended.task,
            message=failure.cause, remedy=failure.todo,
        )  # fmt: skip

    def _recorded(self, run_keys: Sequence[str]) -> Mapping[str, Row]:
        from gcp_jobs.ledger import queries

        if self.ledger is None:
            return {}
        found: dict[str, Row] = {}
        try:
            for start in range(0, len(run_keys), KEYS):
                rows = self.ledger.read(queries.of_keys(list(run_keys[start : start + KEYS])))
                found |= {row["run_key"]: row for row in rows}
        except LedgerUnavailable as error:
            self.trouble("ledger", str(self.ledger), error)
        return found

    def _look(self, maker: Maker | None) -> Sight | None:
        return self.look(maker) if maker else None


def _maker(row: Row) -> Maker:
    return Maker(row["dag_id"], row["run_id"], row["task_id"], row["map_index"])


def table(issues: Iterable[Issue]) -> Iterator[str]:
    """Give lines for the log."""
    for issue in issues:
        yield f"{issue.severity:8} {issue.resource_type:10} {issue.id}: {issue.message}; {issue.action}"
