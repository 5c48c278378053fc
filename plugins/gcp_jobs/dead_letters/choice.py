"""Which dead letters are meant: some by name, or all that fit a filter. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

from gcp_jobs.errors import GcpJobsError

Letter = Mapping[str, Any]
_EQUAL = ("dag_id", "failure_class", "project", "region")
SHORT = 10
COLUMNS = (
    "entry",
    "class",
    "dag / run / task",
    "backend",
    "ended",
    "project / region",
    "replayed by",
    "cause",
)


class LetterRefused(GcpJobsError):
    """What was asked for cannot be done with these letters."""

    permanent = True


@dataclass(frozen=True, slots=True)
class Choice:
    """Letters by `entries` (their start is enough), or by what they are; nothing given means all.

    :param since: letters that ended then or later
    """

    entries: tuple[str, ...] = ()
    dag_id: str | None = None
    failure_class: str | None = None
    project: str | None = None
    region: str | None = None
    since: datetime | None = None

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> Self:
        """Read a DAG run's params.

        :raises LetterRefused: `since` is no time
        """
        text = params.get("since")
        try:
            since = datetime.fromisoformat(text) if text else None
        except ValueError as error:
            raise LetterRefused(
                f"{text!r} is no time", where="param since", todo="Write it like 2026-11-02T02:00:00Z."
            ) from error
        if since and since.tzinfo is None:
            since = since.replace(tzinfo=UTC)
        equal = {name: params.get(name) or None for name in _EQUAL}
        return cls(tuple(params.get("entries") or ()), since=since, **equal)

    @property
    def narrow(self) -> bool:
        """Whether anything was given: to replay or discard, somebody has to say what."""
        return self != Choice()

    def of_letters(self, letters: Sequence[Letter]) -> list[Letter]:
        """Give the letters that are meant, each once.

        :raises LetterRefused: an entry is no dead letter, or means several
        """
        once = list({letter["entry"]: letter for letter in letters}.values())
        if self.entries:
            once = list({found["entry"]: found for found in (_named(once, e) for e in self.entries)}.values())
        return [letter for letter in once if self._fits(letter)]

    def _fits(self, letter: Letter) -> bool:
        equal = all(getattr(self, name) in (None, letter[name]) for name in _EQUAL)
        ended = letter["ended_at"] or letter["created_at"]
        return equal and (self.since is None or (ended is not None and ended >= self.since))


def _named(letters: Sequence[Letter], entry: str) -> Letter:
    found = [letter for letter in letters if letter["entry"].startswith(entry)]
    if len(found) == 1:
        return found[0]
    what = "means several dead letters" if found else "is no dead letter (any more)"
    raise LetterRefused(
        f"entry {entry!r} {what}", where="param entries", todo="Action list shows those that there are."
    )


def run_again_by(letter: Letter) -> str:
    """Give the run that replays the letter, or that made its task good after a clear; empty where there is none."""
    return letter["replayed_by"] or letter["made_good_by"] or ""


def table(letters: Sequence[Letter]) -> list[str]:
    """Give lines for the log."""
    rows = [COLUMNS, *map(_row, letters)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(COLUMNS))]
    return ["  ".join(text.ljust(w) for text, w in zip(row, widths, strict=True)).rstrip() for row in rows]


def brief(letter: Letter) -> dict[str, str]:
    """Give the little of a letter that goes into XCom."""
    return dict(zip(COLUMNS, _row(letter), strict=True)) | {"entry": letter["entry"]}


def _row(letter: Letter) -> tuple[str, ...]:
    index = f"[{letter['map_index']}]" if letter["map_index"] >= 0 else ""
    return (
        letter["entry"][:SHORT],
        letter["failure_class"] or "",
        f"{letter['dag_id']} / {letter['run_id']} / {letter['task_id']}{index}",
        letter["backend"],
        letter["ended_at"].isoformat(" ", "seconds") if letter["ended_at"] else "",
        f"{letter['project']} / {letter['region']}",
        run_again_by(letter)[:SHORT],
        " ".join((letter["message"] or "").split())[:100],
    )
