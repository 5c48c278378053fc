"""JobSpec: what a job is, whichever backend runs it (fields and defaults: CONTRACTS, "A job's description"). Pure."""

import hashlib
import json
import re
from enum import StrEnum
from posixpath import normpath
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from gcp_jobs import quantity

JOB_NAME = r"^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$"
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SECRET = re.compile(r"(projects/[^/:]+/secrets/)?[A-Za-z0-9_-]{1,255}")
_LABEL = re.compile(r"[a-z0-9_-]{0,63}")


def _secret(value: object) -> str:
    """Canonical `secret:version` (version `latest` or a number)."""
    name, _, version = str(value).partition(":")
    if not isinstance(value, str) or not _SECRET.fullmatch(name):
        raise ValueError(
            f"a secret is named like dog-api-key, dog-api-key:3 or projects/p/secrets/dog-api-key:3, not {value!r}"
        )
    version = version or "latest"
    if version != "latest" and not version.isdecimal():
        raise ValueError(f"a secret's version is a number or latest, not {version!r}")
    return f"{name}:{version}"


def _absolute(value: str) -> str:
    if not value.startswith("/") or normpath(value) != value or value == "/":
        raise ValueError(f"{value!r} must be an absolute, normalised path such as /secrets/key.pem")
    return value


def _env_name(value: str) -> str:
    if not _ENV_NAME.fullmatch(value):
        raise ValueError(f"{value!r} is no name of an environment variable")
    return value


def _label(value: str) -> str:
    if not _LABEL.fullmatch(value):
        raise ValueError(f"{value!r}: labels hold lower-case letters, digits, - and _, at most 63")
    return value


def _text(value: object) -> object:
    """YAML reads 5, 0.05 and true where a variable wants text."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else value


Text = Annotated[str, BeforeValidator(_text)]
Memory = Annotated[str, BeforeValidator(quantity.memory)]
Cpu = Annotated[str, BeforeValidator(quantity.cpu)]
Seconds = Annotated[int, BeforeValidator(quantity.seconds)]
EnvName = Annotated[str, AfterValidator(_env_name)]
Secret = Annotated[str, BeforeValidator(_secret)]
AbsolutePath = Annotated[str, AfterValidator(_absolute)]
Label = Annotated[str, AfterValidator(_label)]
Name = Annotated[str, Field(pattern=JOB_NAME)]


class Provisioning(StrEnum):
    """How the machine is bought; only Batch can choose."""

    STANDARD = "standard"
    SPOT = "spot"


class Egress(StrEnum):
    """Which traffic goes through the network."""

    PRIVATE_RANGES_ONLY = "private-ranges-only"
    ALL_TRAFFIC = "all-traffic"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_enum_values=False)


class Network(_Part):
    """Where the job's traffic goes: a connector, or a network and subnetwork directly."""

    connector: str | None = None
    network: str | None = None
    subnetwork: str | None = None
    egress: Egress = Egress.PRIVATE_RANGES_ONLY
    tags: tuple[str, ...] = ()
    no_external_ip: bool = False

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        direct = bool(self.network or self.subnetwork)
        if bool(self.connector) == direct:
            raise ValueError("give either a connector or a network with its subnetwork")
        if self.connector and self.tags:
            raise ValueError("tags belong to a network, a connector has none")
        return self


class Volume(_Part):
    """One volume: a bucket (`gcs`), a file server (`nfs`, as server:/path) or memory (its size)."""

    name: Name
    path: AbsolutePath | None = None
    gcs: str | None = None
    nfs: Annotated[str, Field(pattern=r"^[^:/]+:/.*$")] | None = None
    memory: Memory | None = None
    read_only: bool = False
    mount_options: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if sum(v is not None for v in (self.gcs, self.nfs, self.memory)) != 1:
            raise ValueError("give exactly one of gcs, nfs and memory")
        if self.mount_options and not self.gcs:
            raise ValueError("mount_options belong to a gcs volume")
        if self.memory and self.read_only:
            raise ValueError("a memory volume cannot be read_only: nobody could fill it")
        return self


class Container(_Part):
    """A container beside the main one. `startup_port`: it counts as started once this TCP port answers."""

    name: Name
    image: str = Field(min_length=1)
    command: tuple[Text, ...] = ()
    args: tuple[Text, ...] = ()
    env: dict[EnvName, Text] = {}
    secrets: dict[EnvName, Secret] = {}
    cpu: Cpu = "1"
    memory: Memory = "512Mi"
    mounts: dict[str, AbsolutePath] = {}
    depends_on: tuple[str, ...] = ()
    startup_port: int | None = Field(default=None, ge=1, le=65535)

    @model_validator(mode="after")
    def _no_double(self) -> Self:
        _refuse_doubles(self.env, self.secrets)
        return self


class JobSpec(_Part):
    """Everything about a job. The main container's fields lie flat; `sidecars` run beside it, `init_containers`
    before it. Units: `timeout` in seconds per task try."""

    name: Name
    project: str = Field(min_length=1)
    region: str = Field(pattern=r"^[a-z]+-[a-z]+[0-9]+$")
    environment: Literal["local", "dev", "stg", "prod"]
    labels: dict[str, Label] = {}
    image: str = Field(min_length=1)
    command: tuple[Text, ...] = ()
    args: tuple[Text, ...] = ()
    env: dict[EnvName, Text] = {}
    secrets: dict[EnvName, Secret] = {}
    secret_files: dict[AbsolutePath, Secret] = {}
    cpu: Cpu = "1"
    memory: Memory = "2Gi"
    timeout: Seconds = 3600
    task_count: int = Field(default=1, ge=1, le=100_000)
    parallelism: int = Field(default=1, ge=1, le=10_000)
    max_retries: int = Field(default=0, ge=0, le=10)
    service_account: str | None = None
    kms_key: str | None = None
    volumes: tuple[Volume, ...] = ()
    sidecars: tuple[Container, ...] = ()
    init_containers: tuple[Container, ...] = ()
    network: Network | None = None
    provisioning: Provisioning = Provisioning.STANDARD
    machine_type: str | None = None
    zones: tuple[str, ...] = ()

    @property
    def containers(self) -> tuple[Container, ...]:
        """All containers but the main one."""
        return self.init_containers + self.sidecars

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON: equal specs have equal digests, whatever file they came from."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        _refuse_doubles(self.env, self.secrets)
        names = [c.name for c in self.containers]
        if doubles := {n for n in [*names, "main"] if [*names, "main"].count(n) > 1}:
            raise ValueError(f"container names must differ (main is the job's own): {sorted(doubles)}")
        volumes = [v.name for v in self.volumes]
        if len(set(volumes)) != len(volumes):
            raise ValueError(f"volume names must differ: {volumes}")
        for container in self.containers:
            if missing := set(container.mounts) - set(volumes):
                raise ValueError(f"container {container.name} mounts unknown volumes {sorted(missing)}")
            if missing := set(container.depends_on) - set(names):
                raise ValueError(
                    f"container {container.name} depends on unknown containers {sorted(missing)}"
                )
        if any(c.startup_port for c in self.init_containers):
            raise ValueError("an init container ends before the job starts, so it has no startup_port")
        return self


def _refuse_doubles(env: dict[str, str], secrets: dict[str, str]) -> None:
    if both := sorted(set(env) & set(secrets)):
        raise ValueError(f"set as env and as secret: {', '.join(both)}")
