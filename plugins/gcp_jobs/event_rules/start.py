"""What comes of an event: which run of which template, with what changed. Pure."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Start:
    """One job to start. It travels as JSON: through the asset event into the DAG run.

    :param identity: the event's; one run of a job each
    :param by: who wants it, for the ledger: the rule, and who published the event as far as that is known
    :param depth: how many jobs have started each other before this one
    :param published: when the event was told of, RFC 3339
    :param begun: whether its job was begun before, so that only the wait is left
    :param done_by: the task that answers for its job, where the event was seen before
    """

    rule: str
    identity: str
    template: str
    backend: str
    env: Mapping[str, str] = field(default_factory=dict)
    args: tuple[str, ...] | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    by: str = ""
    depth: int = 0
    published: str = ""
    begun: bool = False
    done_by: str = ""

    @property
    def environment(self) -> dict[str, str]:
        """The job's variables: the rule's, and where it comes from, so that it can pass its depth on."""
        ours = {
            "GCP_JOBS_EVENT_RULE": self.rule,
            "GCP_JOBS_EVENT_ID": self.identity,
            "GCP_JOBS_EVENT_DEPTH": str(self.depth + 1),
        }
        return {**self.env, **ours}

    def to_dict(self) -> dict[str, Any]:
        """Give the form that goes into events, XCom and a DAG run's conf."""
        return asdict(self)

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Self:
        """Read what `to_dict` gave; keys that a later release added are ignored. Raises ValueError."""
        known = {key: value[key] for key in cls.__slots__ if key in value}
        try:
            args = known.get("args")
            return cls(**{**known, "args": None if args is None else tuple(args)})
        except TypeError as error:
            raise ValueError(f"no start of a job: {error}") from error
