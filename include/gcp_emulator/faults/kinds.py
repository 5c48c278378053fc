"""The faults that can be asked for, as JSON has them. Patterns are those of a shell: `*` matches anything."""

from fnmatch import fnmatchcase
from typing import Annotated, Literal

from grpc import StatusCode
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from gcp_emulator.batch.exit_codes import OF_MACHINES, PREEMPTED
from gcp_emulator.methods import JSON_METHODS, METHODS

Share = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(ge=0, le=86400)]
CODES = tuple(code.name for code in StatusCode if code is not StatusCode.OK)


class Fault(BaseModel):
    """What every fault has. `seed` decides which ones a share hits; one is drawn and shown when none is given."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: int | None = None


class OnMethods(Fault):
    """Faults of calls: `methods` are patterns of `package.Service/Method`, `caller` one of identities."""

    methods: Annotated[list[str], Field(min_length=1)]
    caller: str = "*"

    @field_validator("methods")
    @classmethod
    def _known(cls, patterns: list[str]) -> list[str]:
        for pattern in patterns:
            known = [*(method.full_name for method in METHODS), *JSON_METHODS]
            if not any(fnmatchcase(name, pattern) for name in known):
                raise ValueError(
                    f"'{pattern}' is no method: write one such as google.cloud.batch.v1.BatchService/GetJob, */GetJob "
                    "or storage.objects.get"
                )
        return patterns

    def concerns(self, method: str, caller: str) -> bool:
        return fnmatchcase(caller, self.caller) and any(fnmatchcase(method, known) for known in self.methods)


class Call(OnMethods):
    """Calls fail with `code`, or only take `delay_s` longer: the n-th ones (from 1), a share of them, or all.

    `when` it strikes: before the method runs, or after it has done its work and before the answer. `times` bounds how
    many are hit.
    """

    kind: Literal["call"]
    when: Literal["before", "after"] = "before"
    code: str | None = None
    message: str = "Injected by /emulator/faults."
    delay_s: Seconds = 0.0
    nth: list[Annotated[int, Field(ge=1)]] = []
    share: Share = 1.0
    times: Annotated[int, Field(ge=1)] | None = None

    @field_validator("code")
    @classmethod
    def _a_code(cls, code: str | None) -> str | None:
        if code is not None and code not in CODES:
            raise ValueError(f"'{code}' is none of {', '.join(CODES)}")
        return code

    @model_validator(mode="after")
    def _does_something(self) -> "Call":
        if self.code is None and not self.delay_s:
            raise ValueError("give a code, or a delay_s above 0")
        if self.nth and self.share != 1.0:
            raise ValueError("give nth or share, not both")
        return self


class Hold(OnMethods):
    """Calls stand still at a boundary until they are let go, their caller is gone, or `most_s` have passed.

    `when`: before the method runs, after it has done its work and before the answer, or `answered`: it is told of and
    not held. `resource` is a pattern of what the call is about, `skip` lets so many pass first, `times` bounds how many
    are held; each is told of in `/emulator/faults/strikes`.
    """

    kind: Literal["hold"]
    when: Literal["before", "after", "answered"] = "before"
    resource: str = "*"
    skip: Annotated[int, Field(ge=0)] = 0
    share: Share = 1.0
    times: Annotated[int, Field(ge=1)] | None = 1
    most_s: Seconds = 60.0


class Lag(OnMethods):
    """Lists show nothing that is younger than `behind_s`, as lists of an eventually consistent store do."""

    kind: Literal["lag"]
    methods: Annotated[list[str], Field(min_length=1)] = [
        "google.cloud.run.v2.Executions/ListExecutions",
        "google.cloud.run.v2.Jobs/ListJobs",
        "google.cloud.batch.v1.BatchService/ListJobs",
    ]
    behind_s: Seconds


class Quota(OnMethods):
    """At most so many calls a minute, all matching methods together; more are refused with RESOURCE_EXHAUSTED."""

    kind: Literal["quota"]
    per_minute: Annotated[int, Field(ge=0)]


class Cut(OnMethods):
    """Open streams end with UNAVAILABLE: at once, or with `after_s` each one when it is that old."""

    kind: Literal["cut"]
    methods: Annotated[list[str], Field(min_length=1)] = ["google.pubsub.v1.Subscriber/StreamingPull"]
    after_s: Seconds | None = None


class Suppress(Fault):
    """A share of the entries that live tails of logs would have given is left out, and counted there as suppressed."""

    kind: Literal["suppress"]
    share: Share = 1.0
    times: Annotated[int, Field(ge=1)] | None = None


class Messages(Fault):
    """Pub/Sub deliveries that are lost, doubled, late, or overtaken: each a share of those that match.

    A message is hit by one of them at most. Late ones come after `delay_s`, reordered ones within `delay_s`.
    """

    kind: Literal["messages"]
    subscription: str = "*"
    attributes: dict[str, str] = {}
    drop: Share = 0.0
    double: Share = 0.0
    delay: Share = 0.0
    reorder: Share = 0.0
    delay_s: Seconds = 1.0

    @model_validator(mode="after")
    def _shares(self) -> "Messages":
        total = self.drop + self.double + self.delay + self.reorder
        if not 0 < total <= 1.0000001:
            raise ValueError(
                f"drop, double, delay and reorder must add up to more than 0 and at most 1, not {total:g}"
            )
        return self


class Preempt(Fault):
    """Machines are lost under tasks that run or will run, `after_s` after the task began; `code` says how.

    `job` is a pattern of the job's name, id or uid. `times` bounds how many machines go; null: no bound.
    """

    kind: Literal["preempt"]
    job: str = "*"
    task: Annotated[int, Field(ge=0)] | None = None
    code: int = PREEMPTED
    after_s: Seconds = 0.0
    share: Share = 1.0
    times: Annotated[int, Field(ge=1)] | None = 1

    @field_validator("code")
    @classmethod
    def _reserved(cls, code: int) -> int:
        if code not in OF_MACHINES:
            raise ValueError(f"{code} is none of {', '.join(map(str, sorted(OF_MACHINES)))}")
        return code


class Exhaust(Fault):
    """No machines of this type and provisioning model in a region: Batch jobs wait in QUEUED, or with `fails` fail.

    They go on when the fault is taken away. Where several concern a job, the newest decides.
    `reason` is ZONE_RESOURCE_POOL_EXHAUSTED or QUOTA_EXCEEDED.
    """

    kind: Literal["exhaust"]
    region: str = "*"
    machine_type: str = "*"
    provisioning_model: Literal["*", "STANDARD", "SPOT", "PREEMPTIBLE", "RESERVATION_BOUND", "FLEX_START"] = (
        "*"
    )
    reason: Literal["ZONE_RESOURCE_POOL_EXHAUSTED", "QUOTA_EXCEEDED"] = "ZONE_RESOURCE_POOL_EXHAUSTED"
    fails: bool = False


AnyFault = Annotated[
    Call | Hold | Lag | Quota | Cut | Suppress | Messages | Preempt | Exhaust, Field(discriminator="kind")
]
