"""What an attempt's end means on Cloud Run: code, text, exit code, and the platform's own log line."""

from dataclasses import dataclass

from grpc import StatusCode

from gcp_emulator.runtime.model import End, TaskResult

MEMORY_HELP = "https://cloud.google.com/run/docs/configuring/memory-limits"


@dataclass(frozen=True, slots=True)
class Outcome:
    """An attempt as the API reports it; `system_line` is what the platform logs about it, if anything."""

    code: int
    message: str
    exit_code: int
    system_line: str = ""

    @property
    def ok(self) -> bool:
        return self.code == 0

    @property
    def cancelled(self) -> bool:
        return self.code == _number(StatusCode.CANCELLED)

    @property
    def non_zero_exit(self) -> bool:
        return self.code == _number(StatusCode.ABORTED)


def _number(code: StatusCode) -> int:
    return int(code.value[0])


CANCELLED = Outcome(_number(StatusCode.CANCELLED), "Cancelled by user.", 0)


def outcome(result: TaskResult) -> Outcome:
    """Codes and texts as Cloud Run shows them; a memory kill keeps its 137, where Google shows 0."""
    if result.end is End.CANCELLED:
        return CANCELLED
    if result.end is End.TIMED_OUT:
        text = "The configured timeout was reached."
        return Outcome(_number(StatusCode.DEADLINE_EXCEEDED), text, 0, result.message)
    if result.end is End.OUT_OF_MEMORY:
        text = "The configured memory limit was reached."
        line = f"{result.message} Consider increasing the memory limit, see {MEMORY_HELP}"
        return Outcome(_number(StatusCode.RESOURCE_EXHAUSTED), text, result.exit_code, line)
    if result.end is End.NOT_STARTED:
        return Outcome(
            _number(StatusCode.FAILED_PRECONDITION), result.message, result.exit_code, result.message
        )
    if result.exit_code == 0:
        return Outcome(0, "", 0)
    text = "The container exited with an error."
    return Outcome(_number(StatusCode.ABORTED), text, result.exit_code, result.message)


def task_failed(task_id: str, outcome: Outcome) -> str:
    """The text of the execution's condition and of the operation's error."""
    return f"Task {task_id} failed with exit code: {outcome.exit_code} and message: {outcome.message}"
