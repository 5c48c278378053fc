"""What a run left behind, brought into the form that the rules read."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from gcp_jobs.model import ExitInfo, JobState, JobStatus

LOG_LINES = 10  # the last ones; earlier lines tell of troubles that were survived
MOST_EVENT, MOST_LINE = 8_000, 2_000  # characters that are read: a message says in its first lines what it is
_RESERVED = re.compile(r"(?:code:?\s*|\()(5000[1-6])\b")
_CODE = re.compile(r"\bexit code:? (\d{1,5})\b")
# names that people give say nothing about a failure: a job may be called quota-report
_NAMES = re.compile(r"https?://\S+|\b(?:projects|zones|regions)/[^\s'\",)]+|\bTask \S+|\bjob \S+")


@dataclass(frozen=True, slots=True)
class Evidence:
    """One run's end. `event` is what the platform said, `lines` the last log lines, newest first."""

    state: JobState
    noun: str
    reason: str
    event: str
    code: int | None
    signal: int | None
    task: int | None
    lines: tuple[str, ...]

    @classmethod
    def of(cls, status: JobStatus, exit_info: ExitInfo, lines: Sequence[str]) -> Self:
        """Gather it. A success keeps nothing of the attempts before it."""
        told, detail = status.message.strip(), exit_info.message.strip()
        event = (told if detail.rstrip(".") in told else f"{told} {detail}".strip())[:MOST_EVENT]
        code, signal, task, reason = (
            exit_info.code,
            exit_info.signal or None,
            exit_info.task,
            status.reason[:MOST_LINE],
        )
        newest = tuple(line.strip()[:MOST_LINE] for line in reversed(lines) if line.strip())[:LOG_LINES]
        if status.state is JobState.SUCCEEDED:
            code = signal = task = None
            event, reason, newest = "", "", ()
        if found := _RESERVED.search(event):
            code = code or int(found[1])
        elif code is None and (found := _CODE.search(event)):
            code = int(found[1])
        if not code and signal:
            code = 128 + signal
        return cls(status.state, status.ref.noun, reason, event, code or None, signal, task, newest)

    @property
    def ended(self) -> str:
        """How the container ended, empty where none did."""
        if self.code is None:
            return ""
        how = f"signal {self.signal}" if self.signal else f"exit code {self.code}"
        return how + (f" in task {self.task}" if self.task else "")

    def all(self) -> str:
        """Say everything that was seen."""
        seen = [f"state {self.state}"]
        seen += [f"reason {self.reason}"] if self.reason else []
        seen += [self.ended] if self.ended else []
        seen += [f"event {shown(self.event)}"] if self.event else []
        seen += [f"last log line {shown(self.lines[0])}"] if self.lines else []
        return ", ".join(seen)


def plain(text: str) -> str:
    """Give a text without the names in it, for the rules."""
    return _NAMES.sub("_", text)


def shown(text: str, most: int = 400) -> str:
    """Quote a text, shortened where it is long."""
    return f'"{text if len(text) <= most else text[: most - 1] + "…"}"'
