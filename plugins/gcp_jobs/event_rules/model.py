"""What a rule is: which events, which template, what of the event becomes what of the job. Pure."""

from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)

from gcp_jobs.event_rules.values import Path, Value, paths
from gcp_jobs.spec import JOB_NAME, EnvName, JobSpec

# what an event may change of a job beside args and env; a Cloud Run execution takes two of them only
CHANGEABLE = ("cpu", "memory", "timeout", "task_count", "parallelism", "machine_type")
ON_CLOUD_RUN = ("timeout", "task_count")
RESERVED = "GCP_JOBS_"
_SUBSCRIPTION = r"^(projects/[^/]+/subscriptions/)?[A-Za-z][A-Za-z0-9_.~+%-]{2,254}$"
_BUCKET = r"^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$"


def _adapter(name: str) -> TypeAdapter[Any]:
    field = JobSpec.model_fields[name]
    kind: Any = Annotated[field.annotation, field]
    return TypeAdapter(kind)


_FIELDS = {name: _adapter(name) for name in CHANGEABLE}


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Source(_Part):
    """Which events: messages of a subscription, or what happens to objects of a bucket, told through one.

    :param subscription: name or full name; default: GCP_JOBS_EVENT_SUBSCRIPTION
    :param attributes: attributes that a message must have, each with a pattern such as order.* (as for file names)
    :param event: Google's name of what happened to an object
    :param glob: pattern for the object's name behind `prefix`
    """

    subscription: str | None = Field(default=None, pattern=_SUBSCRIPTION)
    attributes: dict[str, str] = {}
    bucket: str | None = Field(default=None, pattern=_BUCKET)
    event: Literal["OBJECT_FINALIZE", "OBJECT_DELETE", "OBJECT_METADATA_UPDATE", "OBJECT_ARCHIVE"] = (
        "OBJECT_FINALIZE"
    )
    prefix: str = ""
    glob: str = "*"

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if self.bucket is None:
            if strange := {"event", "prefix", "glob"} & self.model_fields_set:
                raise ValueError(f"{', '.join(sorted(strange))} belong to a bucket: name it")
            if not self.subscription and not self.attributes:
                raise ValueError("give a bucket, or a subscription or attributes of messages")
        return self

    def wants_object(self, event: str, bucket: str, name: str) -> bool:
        """Whether this is about what happened to the object."""
        inside = bucket == self.bucket and event == self.event and name.startswith(self.prefix)
        return inside and fnmatchcase(name[len(self.prefix) :], self.glob)


class Guard(_Part):
    """Stops a job that starts itself: by what it writes, or by a message that it publishes.

    :param depth: how many jobs may have started each other in a row; jobs pass GCP_JOBS_EVENT_DEPTH on as attribute
        or object metadata `gcp-jobs-depth`
    :param same_object_per_hour: how often one object may be written anew
    :param per_folder_per_hour: how many objects of one folder may start jobs
    """

    depth: int = Field(default=3, ge=0, le=100)
    same_object_per_hour: int = Field(default=10, ge=1)
    per_folder_per_hour: int = Field(default=50_000, ge=1)


class Rule(_Part):
    """One rule.

    :param env: variables of the main container; `args`: its arguments instead of the template's
    :param params: other fields of the job (CHANGEABLE)
    :param output: gs://bucket/prefix that the job writes to, where no volume of its template says so
    :param identity: paths that make two messages one; default: the message's id, of objects name and generation
    :param publisher: path that says who sent it; it goes into the ledger as what it is, hearsay
    :param max_per_minute: starts by this rule; what comes faster waits
    """

    name: str = Field(pattern=JOB_NAME)
    source: Source
    template: str = Field(min_length=1)
    backend: Literal["batch", "cloud_run"] = "batch"
    env: dict[EnvName, Value] = {}
    args: tuple[Value, ...] | None = None
    params: dict[str, Value] = {}
    output: str | None = Field(default=None, pattern=r"^gs://[^/]+(/.*)?$")
    identity: tuple[Path, ...] = ()
    publisher: Path | None = None
    max_per_minute: float | None = Field(default=None, gt=0)
    guard: Guard = Guard()

    @field_validator("env")
    @classmethod
    def _not_ours(cls, env: dict[str, Any]) -> dict[str, Any]:
        if ours := sorted(name for name in env if name.startswith(RESERVED)):
            raise ValueError(
                f"{', '.join(ours)}: names that begin with {RESERVED} are set by gcp_jobs itself"
            )
        return env

    @model_validator(mode="after")
    def _possible(self) -> Self:
        allowed = CHANGEABLE if self.backend == "batch" else ON_CLOUD_RUN
        if strange := sorted(set(self.params) - set(allowed)):
            raise ValueError(
                f"params {', '.join(strange)}: on {self.backend} allowed are {', '.join(allowed)}"
            )
        if self.source.bucket is None and (about := [p for p in self.paths if p.startswith("object.")]):
            raise ValueError(f"{about[0]}: a message has no object; name a bucket in source")
        return self

    @property
    def paths(self) -> tuple[str, ...]:
        """All paths that the rule reads."""
        values = [*self.env.values(), *(self.args or ()), *self.params.values()]
        read = [path for value in values for path in paths(value)]
        return (*read, *self.identity, *([self.publisher] if self.publisher else []))

    def compact(self) -> dict[str, Any]:
        """Give the form that goes into triggers: what differs from the defaults."""
        return self.model_dump(mode="json", by_alias=True, exclude_defaults=True)


def field_value(name: str, text: str) -> Any:
    """Check a param's text as the job's own field is checked; raises ValueError saying what is wrong."""
    value: Any = int(text) if name in ("task_count", "parallelism") and text.lstrip("-").isdecimal() else text
    try:
        return _FIELDS[name].validate_python(value)
    except ValidationError as error:
        raise ValueError(str(error.errors()[0]["msg"]).removeprefix("Value error, ")) from error
