"""A set of jobs that somebody else submitted: which they are, and when a wait for them is over. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

from gcp_jobs.model import JobRef, JobState, JobStatus

MOST_SHOWN = 100
MOST_NAMED = 10


@dataclass(frozen=True, slots=True)
class JobSet:
    """Which jobs of a region.

    :param names: ids of jobs, or full names, which may lie in other projects and regions
    :param uids: uids of jobs
    :param text: a filter of Batch's, such as `labels.team="a"`
    """

    project: str
    region: str
    names: tuple[str, ...] = ()
    uids: tuple[str, ...] = ()
    text: str = ""

    @property
    def refs(self) -> list[JobRef]:
        """Point at the jobs that are given by name. Raises ValueError for a name that is none."""
        return [
            JobRef.parse(name, "batch") if "/" in name else JobRef("batch", self.project, self.region, name)
            for name in self.names
        ]

    @property
    def filter(self) -> str:
        """Batch's filter for the jobs that are not given by name, empty where there are none."""
        wanted = [f'uid="{uid}"' for uid in self.uids]
        if not wanted:
            return self.text
        return " OR ".join([*wanted, f"({self.text})"] if self.text else wanted)  # OR binds tighter than AND

    def to_dict(self) -> dict[str, Any]:
        """Give the form that goes into triggers."""
        return asdict(self) | {"names": list(self.names), "uids": list(self.uids)}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Self:
        """Read what `to_dict` gave."""
        known = {key: value[key] for key in cls.__slots__ if key in value}
        return cls(**known | {"names": tuple(value["names"]), "uids": tuple(value["uids"])})


@dataclass(frozen=True, slots=True)
class Want:
    """When the wait is over.

    :param need: how many must end well: "all", "any" or a number
    :param at_least: how many jobs there must be before the set counts as complete
    :param accept: states that count as well ended
    """

    need: str | int = "all"
    at_least: int = 1
    accept: tuple[str, ...] = (JobState.SUCCEEDED.value,)

    def required(self, count: int) -> int:
        """How many of `count` jobs must end well."""
        if self.need == "all":
            return count
        return min(count, 1) if self.need == "any" else int(self.need)

    def over(self, statuses: Sequence[JobStatus | None]) -> bool | None:
        """True: enough have ended well; False: enough cannot any more; None: wait on. A job not found yet is None."""
        if len(statuses) < self.at_least:
            return None
        ended = [status for status in statuses if status is not None and status.terminal]
        good = sum(status.state.value in self.accept for status in ended)
        required = self.required(len(statuses))
        if good >= required:
            return True
        return False if len(statuses) - (len(ended) - good) < required else None

    def shortfall(self, statuses: Sequence[JobStatus | None]) -> str:
        """Say which jobs make the wait fail; empty unless enough cannot end well any more."""
        if self.over(statuses) is not False:
            return ""
        bad = [s for s in statuses if s and s.terminal and s.state.value not in self.accept]
        named = ", ".join(f"{s.ref} {s.state}" for s in bad[:MOST_NAMED])
        more = " ..." if len(bad) > MOST_NAMED else ""
        wanted = " or ".join(self.accept)
        return f"{self.need} of {len(statuses)} jobs had to end as {wanted}, but {named}{more}"

    def to_dict(self) -> dict[str, Any]:
        """Give the form that goes into triggers."""
        return {"need": self.need, "at_least": self.at_least, "accept": list(self.accept)}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Self:
        """Read what `to_dict` gave."""
        return cls(value["need"], value["at_least"], tuple(value["accept"]))


def summary(statuses: Iterable[JobStatus | None]) -> dict[str, Any]:
    """Give what a finished wait leaves in XCom: counts by state, and the first jobs with their states."""
    found = [status for status in statuses if status is not None]
    states: dict[str, int] = {}
    for status in found:
        states[status.state.value] = states.get(status.state.value, 0) + 1
    return {
        "count": len(found),
        "states": states,
        "jobs": {status.ref.name: status.state.value for status in found[:MOST_SHOWN]},
    }
