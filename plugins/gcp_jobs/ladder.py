"""Where else a job could run, and how much larger. Pure."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

from gcp_jobs.policy import Ladder
from gcp_jobs.quantity import memory, memory_bytes
from gcp_jobs.spec import JobSpec, Provisioning

GIB = 1024**3
MOST_TASKS = 10_000  # https://cloud.google.com/run/quotas: a job
LONGEST_S = 7 * 24 * 3600  # a Cloud Run task; Batch allows 14 days for a job
Blocked = Callable[["Rung"], bool]

# https://cloud.google.com/run/docs/configuring/services/memory-limits: so much memory needs so many vCPUs
_CLOUD_RUN_CPU = ((4, 1), (8, 2), (16, 4), (24, 6), (32, 8))
# https://cloud.google.com/compute/docs/general-purpose-machines: GiB a vCPU, those of the leanest family
_MACHINE = re.compile(r"(?P<kind>[a-z0-9]+-(?P<shape>standard|highmem|highcpu))-(?P<cpus>\d+)")
_GIB_A_CPU = {"standard": 3.75, "highmem": 6.5, "highcpu": 0.9}
_MOST_CPUS = 96


@dataclass(frozen=True, slots=True)
class Rung:
    """One place for a job, and its size: what a climb changes."""

    backend: str
    region: str
    provisioning: str
    machine_type: str | None
    memory: str
    cpu: str
    timeout: int

    @classmethod
    def of(cls, spec: JobSpec, backend: str) -> Self:
        """Where the spec itself says."""
        return cls(
            backend, spec.region, spec.provisioning.value, spec.machine_type, spec.memory, spec.cpu, spec.timeout
        )  # fmt: skip

    @property
    def place(self) -> tuple[str, str, str, str | None]:
        """The place without the size."""
        return self.backend, self.region, self.provisioning, self.machine_type

    def __str__(self) -> str:
        parts = [self.region, self.memory]
        if self.backend == "batch":
            parts[1:1] = [self.provisioning, self.machine_type or "any machine"]
        return f"{self.backend} ({', '.join(parts)})"

    def changes(self, spec: JobSpec) -> dict[str, Any]:
        """Fields of the spec that differ here, as JSON. Zones belong to a region, so another region has none."""
        mine = {k: v for k, v in asdict(self).items() if k != "backend"}
        theirs = spec.model_dump(mode="json")
        found = {field: value for field, value in mine.items() if theirs[field] != value}
        elsewhere = "region" in found or self.backend == "cloud_run"
        return found | ({"zones": []} if elsewhere and spec.zones else {})

    def to_dict(self) -> dict[str, Any]:
        """Give the form that goes through a deferral."""
        return asdict(self)

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Self:
        """Read what `to_dict` gave; keys that a later release added are ignored."""
        return cls(**{key: value[key] for key in cls.__slots__})


def fitting(ladder: Ladder, spec: JobSpec) -> Ladder:
    """Leave the other backend out where the job needs what only one of them has."""
    if not ladder.other_backend or not bound(spec):
        return ladder
    return ladder.model_copy(update={"other_backend": False})


def bound(spec: JobSpec) -> list[str]:
    """Name what keeps a job on the backend that it was made for: fields that the other one lacks or limits."""
    theirs = ("network", "kms_key", "volumes", "secret_files", "init_containers", "sidecars")
    found = [name for name in theirs if getattr(spec, name)]
    found += [f"timeout over {LONGEST_S} s"] if spec.timeout > LONGEST_S else []
    return found + ([f"task_count over {MOST_TASKS}"] if spec.task_count > MOST_TASKS else [])


def applied(spec: JobSpec, changes: Mapping[str, Any]) -> JobSpec:
    """Give the spec with changed fields, checked like any other."""
    return JobSpec.model_validate(spec.model_dump(mode="json") | dict(changes)) if changes else spec


def higher(own: Rung, here: Rung, ladder: Ladder, blocked: Blocked) -> Rung | None:
    """Give the next place of the ladder that nothing blocks, at the size that the job has here.

    Places are compared at that size: a larger job may already run on a larger machine than its rung names.
    """
    rungs = [_sized(rung, here) for rung in _places(own, ladder)]
    start = next((n for n, rung in enumerate(rungs) if rung and rung.place == here.place), len(rungs))
    below = rungs[: start + 1]
    return next(
        (rung for rung in rungs[start + 1 :] if rung and rung not in below and not blocked(rung)), None
    )


def first(own: Rung, ladder: Ladder, blocked: Blocked) -> Rung:
    """Give the place to begin at: the job's own, or the next that nothing blocks; its own where all are blocked."""
    return own if not blocked(own) else higher(own, own, ladder, blocked) or own


def _places(own: Rung, ladder: Ladder) -> Iterator[Rung]:
    yield own
    standard = replace(own, provisioning=Provisioning.STANDARD.value)
    if own.backend == "cloud_run":  # it has neither spot nor machine types
        for region in _others(ladder.regions, own.region):
            yield replace(own, region=region)
        if ladder.other_backend:
            yield replace(standard, backend="batch", machine_type=None)
        return
    if own != standard:
        yield standard
    machines = [own.machine_type, *_others(ladder.machine_types, own.machine_type)]
    for region in [own.region, *_others(ladder.regions, own.region)]:
        for machine in machines:
            if (region, machine) != (own.region, own.machine_type):
                yield replace(standard, region=region, machine_type=machine)
    if ladder.other_backend:
        yield replace(standard, backend="cloud_run", machine_type=None)


def _others(names: tuple[str, ...], own: str | None) -> list[str]:
    return [name for name in dict.fromkeys(names) if name != own]


def _sized(rung: Rung, here: Rung) -> Rung | None:
    """Put the job's size of now into another place, None where it does not fit."""
    sized = replace(rung, memory=here.memory, cpu=here.cpu, timeout=here.timeout)
    return _fitted(sized) if sized.memory != rung.memory or sized.backend != here.backend else sized


def larger(here: Rung, ladder: Ladder) -> Rung | None:
    """Give the same place with the next memory size, and the CPUs or machine that this needs."""
    now, most = memory_bytes(here.memory), memory_bytes(ladder.most_memory)
    sizes = sorted(memory_bytes(size) for size in ladder.memory) or [2 * now]
    size = next((s for s in sizes if now < s <= most), None)
    return _fitted(replace(here, memory=memory(f"{size // 1024}Ki"))) if size else None


def longer(here: Rung) -> Rung | None:
    """Give the same place with twice the time."""
    return replace(here, timeout=min(2 * here.timeout, LONGEST_S)) if here.timeout < LONGEST_S else None


def _fitted(rung: Rung) -> Rung | None:
    gib = memory_bytes(rung.memory) / GIB
    if rung.backend == "cloud_run":
        needed = next((cpus for most, cpus in _CLOUD_RUN_CPU if gib <= most), None)
        return None if needed is None else replace(rung, cpu=_more(rung.cpu, needed))
    if rung.machine_type is None:
        return rung
    machine = _machine(rung.machine_type, gib)
    return replace(rung, machine_type=machine) if machine else None


def _more(cpu: str, needed: int) -> str:
    milli = int(cpu[:-1]) if cpu.endswith("m") else int(cpu) * 1000
    return cpu if milli >= 1000 * needed or needed == 1 else str(needed)


def _machine(name: str, gib: float) -> str | None:
    """Give the smallest machine of the same kind, from this one on, that has so much memory."""
    known = _MACHINE.fullmatch(name)
    if known is None:
        return None
    cpus = int(known["cpus"])
    while cpus and cpus * _GIB_A_CPU[known["shape"]] < gib:
        cpus *= 2
    return f"{known['kind']}-{cpus}" if 0 < cpus <= _MOST_CPUS else None
