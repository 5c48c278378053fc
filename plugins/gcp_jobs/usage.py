"""What a job used of what it had asked for. Pure."""

from dataclasses import dataclass

from gcp_jobs.quantity import memory_bytes
from gcp_jobs.spec import JobSpec

_MIB, _GIB = 1024**2, 1024**3


@dataclass(frozen=True, slots=True)
class Usage:
    """What the busiest task held at its peak, in bytes, and the vCPUs that a task kept busy; None: unknown."""

    memory: int | None = None
    cpus: float | None = None


def cpus_of(spec: JobSpec) -> float:
    """The vCPUs of the main container."""
    return float(spec.cpu[:-1]) / 1000 if spec.cpu.endswith("m") else float(spec.cpu)


def advice(spec: JobSpec, used: Usage) -> str:
    """Compare in a line, such as "asked 2 GiB, used 310 MiB; asked 1 vCPU, used 0.3"; empty: nothing is known."""
    parts = []
    if used.memory is not None:
        parts.append(f"asked {_size(memory_bytes(spec.memory))}, used {_size(used.memory)}")
    if used.cpus is not None:
        busy = round(used.cpus, 1) if used.cpus >= 0.1 else max(0.01, round(used.cpus, 2))
        parts.append(f"asked {cpus_of(spec):g} vCPU, used {busy:g}")
    return "; ".join(parts)


def _size(amount: int) -> str:
    if amount >= _GIB:
        return f"{amount / _GIB:.3g} GiB"
    return f"{max(1, round(amount / _MIB))} MiB"
