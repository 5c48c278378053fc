"""Runs one process and watches its memory the way Cloud Run counts it: the process tree and what it keeps on disk."""

import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

_EVERY_S = 0.05
_TELL_EVERY_S = 4.0


@dataclass(frozen=True, slots=True)
class Measured:
    """One process from start to end: wall-clock and CPU seconds, the highest memory in MiB, and what it wrote."""

    seconds: float
    cpu_s: float
    peak_mib: float
    disk_mib: float
    output: str


def run(
    command: Sequence[str], environment: Mapping[str, str], folder: Path, tell: Callable[[float, float], None]
) -> Measured:
    """Runs `command` to its end, sampling twenty times a second; `tell` gets seconds and MiB every few seconds.

    Memory is the proportional set size of the process and its children plus the bytes in `folder`, which is where
    the process must keep its files. Raises RuntimeError with the output's end when the exit code is not 0.
    """
    output = folder / "output.txt"
    scratch = folder / "scratch"
    scratch.mkdir()
    started = told = time.monotonic()
    peak = disk = cpu = 0.0
    with (
        output.open("wb") as sink,
        subprocess.Popen(command, env=environment, stdout=sink, stderr=subprocess.STDOUT) as process,
    ):
        tree = psutil.Process(process.pid)
        while process.poll() is None:
            memory, cpu = _tree(tree, cpu)
            on_disk = _bytes_below(scratch)
            peak, disk = max(peak, memory + on_disk), max(disk, on_disk)
            if time.monotonic() - told >= _TELL_EVERY_S:
                told = time.monotonic()
                tell(told - started, (memory + on_disk) / 2**20)
            time.sleep(_EVERY_S)
    seconds = time.monotonic() - started
    text = output.read_text(errors="replace")
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)}: exit code {process.returncode}\n{text[-2_000:]}")
    return Measured(seconds, cpu, peak / 2**20, disk / 2**20, text)


def _tree(process: psutil.Process, cpu_before: float) -> tuple[float, float]:
    """Bytes of the process tree now, and its CPU seconds so far (those before when it has just ended)."""
    memory, cpu = 0.0, 0.0
    try:
        for one in (process, *process.children(recursive=True)):
            memory += one.memory_full_info().pss
            times = one.cpu_times()
            cpu += times.user + times.system
    except psutil.Error:
        return memory, max(cpu, cpu_before)
    return memory, max(cpu, cpu_before)


def _bytes_below(folder: Path) -> float:
    total = 0.0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.stat(os.path.join(parent, name)).st_blocks * 512
            except FileNotFoundError:
                continue  # gone between listing and looking
    return total
