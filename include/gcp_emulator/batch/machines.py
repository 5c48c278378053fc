"""Machine types: how many processors and how much memory, and so how many tasks fit."""

import re

# https://cloud.google.com/compute/docs/general-purpose-machines: shared-core types have no number of processors.
SHARED_CORE = {"e2-micro": 2, "e2-small": 2, "e2-medium": 2, "f1-micro": 1, "g1-small": 1}
DEFAULT_VCPUS = 2
SIZES = (2, 4, 8, 16, 32)


def vcpus(machine_type: str) -> int:
    """`n2-standard-8` -> 8, `e2-custom-4-8192` -> 4; 2 where the name does not tell."""
    if machine_type in SHARED_CORE:
        return SHARED_CORE[machine_type]
    found = re.search(r"custom-(\d+)-\d+", machine_type) or re.search(r"-(\d+)(?=g?$|-|$)", machine_type)
    return max(int(found[1]), 1) if found else DEFAULT_VCPUS


def smallest(cpu_milli: int, memory_mib: int) -> str:
    """The general-purpose type that Batch may take when a job names none."""
    if cpu_milli <= 2000 and memory_mib <= 4096:
        return "e2-medium"
    for size in SIZES:
        if cpu_milli <= size * 1000 and memory_mib <= size * 4096:
            return f"e2-standard-{size}"
    return f"n2-standard-{max(-(-cpu_milli // 1000), -(-memory_mib // 4096))}"


def tasks_per_machine(machine_type: str, cpu_milli: int) -> int:
    """How many tasks run side by side where the job does not say."""
    return max(vcpus(machine_type) * 1000 // max(cpu_milli, 1), 1)
