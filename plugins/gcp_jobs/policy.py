"""What a template may say about failures of the infrastructure: budgets a class, the ladder, the breaker. Pure.

    policy:
      preempted: {budget: 3, same_rung: 1}
      timed_out: {budget: 1}            # one more try, with twice the time
      ladder:
        machine_types: [n2-standard-4]
        regions: [europe-west4]
      breaker: {failures: 5, window: 15m, pause: 5m}
      heartbeat: 10m                    # a task that says nothing for so long is flagged,
      idempotent: true                  # and, as it does no harm, run again elsewhere

Budgets count within one Airflow try and never use its `retries`. Classes that are not here (application, permission,
image, configuration, cancelled, gone, unknown) have no budget: they are Airflow's, or nobody's, to try again.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from gcp_jobs.failure import FailureClass
from gcp_jobs.spec import Memory, Seconds


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Retry(_Part):
    """How often a class is tried again, and how soon.

    `same_rung` tries stay where they are before the next climbs the ladder; None never climbs. Delays double from
    `first_delay` to `longest_delay`.
    """

    budget: int = Field(default=0, ge=0, le=50)
    same_rung: int | None = Field(default=None, ge=0)
    first_delay: Seconds = 10
    longest_delay: Seconds = 300

    @model_validator(mode="after")
    def _growing(self) -> Self:
        if self.longest_delay < self.first_delay:
            raise ValueError(
                f"longest_delay ({self.longest_delay} s) is under first_delay ({self.first_delay} s)"
            )
        return self


class Ladder(_Part):
    """Where a job may run besides its own place, in this order: standard, machine types, regions, the other backend.

    `memory` are the sizes after the job's own; without any each is twice the last, up to `most_memory`. `patience` is
    how long a job may stay queued for want of machines before the next rung is tried.
    """

    machine_types: tuple[Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]+$")], ...] = ()
    regions: tuple[Annotated[str, Field(pattern=r"^[a-z]+-[a-z]+[0-9]+$")], ...] = ()
    memory: tuple[Memory, ...] = ()
    most_memory: Memory = "32Gi"
    other_backend: bool = False
    patience: Seconds = 600


class BreakerLimits(_Part):
    """It opens after so many `failures` in a row within `window`, and lets one try through after `pause`."""

    failures: int = Field(default=5, ge=1)
    window: Seconds = 900
    pause: Seconds = 300


class Array(StrEnum):
    """What is run again of an array job. FAILED needs a container that reads GCP_JOBS_TASK_INDICES."""

    ALL = "all"
    FAILED = "failed"


class Policy(_Part):
    """The defaults of CONTRACTS, "Failure classes and what happens next".

    `heartbeat` is how long a task may be silent: without a line in its log, without a change of state. Unset: twice the
    median of its finished siblings. A silent task is flagged in the log; where the job is `idempotent` it is cancelled
    and run again elsewhere, within the budget of host_lost.
    """

    preempted: Retry = Retry(budget=3, same_rung=1)
    host_lost: Retry = Retry(budget=2)
    out_of_memory: Retry = Retry(budget=2, same_rung=0, first_delay=1)
    timed_out: Retry = Retry(budget=0, same_rung=0, first_delay=1)
    stock_out: Retry = Retry(budget=20, same_rung=0)
    quota: Retry = Retry(budget=5, same_rung=2, first_delay=30, longest_delay=900)
    network: Retry = Retry(budget=3)
    dependency_down: Retry = Retry(budget=3, first_delay=60, longest_delay=1800)
    heartbeat: Seconds | None = None
    idempotent: bool = False
    ladder: Ladder = Ladder()
    breaker: BreakerLimits = BreakerLimits()
    array: Array = Array.ALL

    @model_validator(mode="before")
    @classmethod
    def _completed(cls, value: Any) -> Any:
        """What is left unsaid of a class stays as it is by default for that class: its budget above all."""
        if not isinstance(value, Mapping):
            return value
        known = {name: cls.model_fields[name].default for name in value if name in cls.model_fields}
        return {
            name: {**known[name].model_dump(), **said}
            if isinstance(said, Mapping) and isinstance(known.get(name), Retry)
            else said
            for name, said in value.items()
        }

    def of(self, kind: FailureClass) -> Retry | None:
        """The rule of a class, None where there is none to have."""
        return getattr(self, kind.value) if kind.value in CLASSES else None


CLASSES = frozenset(name for name, field in Policy.model_fields.items() if field.annotation is Retry)
