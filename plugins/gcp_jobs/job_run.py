"""One task's hold on one run of a job: define, start or attach, wait, end, judge. Blocking; the trigger has its own."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Self, TypeVar

from gcp_jobs.backends.base import Change, JobBackend, RunRequest
from gcp_jobs.clients import Access
from gcp_jobs.errors import ApiError, JobFailed, JobTimedOut, NotFound
from gcp_jobs.failure import explain, listed
from gcp_jobs.links import log_url
from gcp_jobs.logs import Cursor, LogFollower, tail
from gcp_jobs.model import TERMINAL, ExitInfo, JobRef, JobResult, JobSpec, JobState, JobStatus
from gcp_jobs.once import Attempt, Intent, Launcher, Started, StateStore
from gcp_jobs.settings import settings
from gcp_jobs.template import ExitCode
from gcp_jobs.waiting import Ended, Follower, Log, drive, end, patiently, wait
from gcp_jobs.watch import Followers, Watch

T = TypeVar("T")
_OVERTIME = "Raise timeout_seconds, or find out in its log where the time went."
_NEVER_STARTED = "Raise timeout_seconds, or try another machine type, zone, region or provisioning model."


@dataclass(frozen=True, slots=True)
class Carry:
    """What a wait takes along through the deferral and back.

    :param deadline: epoch seconds past which the run is cancelled, None for never
    :param digest: the spec's, empty where there is none
    :param show_task: whether log lines say which task of the run wrote them
    :param entry: the run's number in the ledger, empty where it has none
    :param history: this try's attempts so far (decision.History.to_dict), None where no policy rules
    :param patience: seconds for which the run may want machines before it starts, None for ever
    :param watch: how to look for silent tasks (gcp_jobs.watch), None for not at all
    :param not_before: epoch seconds when the next attempt may start, None while `ref` is to be waited for
    """

    ref: JobRef
    deadline: float | None
    digest: str = ""
    show_task: bool = False
    entry: str = ""
    history: Mapping[str, Any] | None = None
    patience: float | None = None
    watch: Mapping[str, Any] | None = None
    not_before: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Give the form that goes into triggers and events."""
        return asdict(self)

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Self:
        """Read what `to_dict` gave; keys that a later release added are ignored."""
        known = {key: value[key] for key in cls.__slots__ if key in value}
        return cls(**{**known, "ref": JobRef.from_dict(value["ref"])})


@dataclass(frozen=True, slots=True)
class JobRun:
    """The tools for it: a backend and a log, and how patient to be."""

    backend: JobBackend
    access: Access
    log: Log
    period_s: float
    verbose: bool

    def define(self, spec: JobSpec, *, manage: bool) -> None:
        """Make the definition match the spec where we are its writer, else report how it differs.

        :raises NotFound: there is no definition and we do not write it
        """
        if manage:
            change = self._patiently(lambda: self.backend.ensure(spec))
            if change is not Change.NONE:
                self.log.info("Job %s is %s (spec %.12s)", spec.name, change, spec.digest)
            return
        for line in self._patiently(lambda: self.backend.drift(spec)):
            self.log.warning("Job %s differs from its template: %s", spec.name, line)

    def start(
        self,
        attempt: Attempt,
        store: StateStore | None,
        request: RunRequest,
        spec: JobSpec | None,
        *,
        manage: bool,
        told: Callable[[Intent], None],
    ) -> Started:
        """Attach to this attempt's run, or start it (see gcp_jobs.once); `told` hears of the intent first."""

        def prepare() -> None:
            if spec and not request.by_token:
                self.define(spec, manage=manage)

        launcher = Launcher(self.backend, store, attempt, settings().api_patience_seconds, self.log, told)
        return launcher.start(request, prepare)

    def wait(self, carry: Carry) -> Ended:
        """Wait here until the run is over, following its log."""
        follower = self.follower(carry)
        steps = wait(
            carry.ref, deadline=carry.deadline, period=self.period_s, log=self.log, patience=carry.patience
        )
        ended: Ended = drive(steps, self.backend, carry.ref, self._watched(follower, carry))
        if follower and not ended.stuck and not ended.straggling:
            follower.finish()
        return ended

    def _watched(self, follower: LogFollower | None, carry: Carry) -> Follower | None:
        """Look for silent tasks beside, where that is wanted; who does not hear the log cannot."""
        if follower is None or carry.watch is None:
            return follower
        sole = not carry.show_task
        watch = Watch.of(carry.watch, carry.ref, self.backend, follower.lines, self.log, sole=sole)
        return Followers(follower, watch)

    def follower(self, carry: Carry, cursor: Mapping[str, Any] | None = None) -> LogFollower | None:
        """Give what brings the run's log into ours, None where that is not wanted."""
        if not self.verbose:
            return None
        log = self.log
        return LogFollower(
            carry.ref,
            self.access,
            lambda level, line: log.log(level, "%s", line),
            Cursor.from_dict(cursor),
            show_task=carry.show_task,
        )

    def read(self, ref: JobRef, seen: str = "", said: str = "") -> JobStatus:
        """Read the truth once, through passing faults; a run that is not there is GONE, or what it was seen to be.

        :param seen: the state in which a wait ended, which a later deletion does not replace
        :param said: what was said of it then
        """
        try:
            return self._patiently(lambda: self.backend.get(ref))
        except NotFound:
            return JobStatus(ref, JobState(seen) if seen in TERMINAL else JobState.GONE, message=said)

    def end(self, ref: JobRef) -> JobStatus | None:
        """Cancel a run that nobody waits for any more, and confirm its end (None: unconfirmed)."""
        self.log.info("Nobody waits for %s %s any more: cancelling it", ref.noun, ref)
        status: JobStatus | None = drive(end(ref, log=self.log), self.backend, ref, None)
        return status

    def verdict(
        self,
        status: JobStatus,
        carry: Carry,
        exit_codes: Mapping[int, ExitCode],
        *,
        timed_out: bool,
        identity: str = "",
    ) -> JobResult:
        """Give the result of a success; raise what explains anything else.

        :param identity: the job's service account: whom a missing right is missing to
        :raises JobTimedOut: the deadline passed first
        :raises JobFailed: anything else
        """
        if status.state is JobState.SUCCEEDED:
            return JobResult.of(status, ExitInfo(code=0), carry.digest)
        if timed_out:
            raise self._late(status)
        raise self._failure(status, exit_codes, identity)

    def _late(self, status: JobStatus) -> JobTimedOut:
        what = f"the job did not end within its deadline and was cancelled (it is {status.state})"
        if status.started is None:
            why = f": {status.message}" if status.message else ""
            return JobTimedOut(f"{what}; it never started{why}", where=status.ref.name, todo=_NEVER_STARTED)
        lines = listed(tail(status.ref, self.access))
        return JobTimedOut(what, where=status.ref.name, todo=f"{_OVERTIME}{lines}")

    def _failure(self, status: JobStatus, exit_codes: Mapping[int, ExitCode], identity: str) -> JobFailed:
        try:
            exit_info = self.backend.exit_info(status)
        except ApiError as error:
            self.log.warning("No exit code: %s", error)
            exit_info = ExitInfo()
        linked = replace(status, log_uri=log_url(status.ref))
        lines = tail(status.ref, self.access)
        failure = explain(status, exit_info, exit_codes, lines, identity)
        told = failure.error(linked, lines)
        told.failure, told.exit_info = failure, exit_info
        return told

    def _patiently(self, ask: Callable[[], T]) -> T:
        return patiently(ask, patience=settings().api_patience_seconds, log=self.log)
