"""One cell of `make bench-waiting`: an embedded cloud, jobs in it, and a process of one side that waits for them."""

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import psutil
from benchmarks.waiting_jobs import TOPIC, Control, ends, make_jobs
from benchmarks.waiting_row import Cell, Sample, Seen
from google.pubsub_v1 import PublisherClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport

from gcp_emulator.process import start as start_emulator

ROOT = Path(__file__).resolve().parents[1]
HERE = Path(__file__).resolve().parent
QUOTA = 15_000  # https://cloud.google.com/batch/quotas: read requests a minute and region
TRICKLE = 5_000  # jobs that end one after the other; of more waiting ones the rest end all at once afterwards
TICK_S = 0.1
READY_S = 900.0
PATIENCE_S = 90.0
LAST_S = 600.0
MEMORY = Path("/dev/shm")  # where there is one: the emulator's files must not wait for a disk


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds in which nothing ends, then seconds over which the trickle ends; how often our waits sweep meanwhile."""

    steady_s: float
    spread_s: float
    sweep_s: float


def scratch() -> "tempfile.TemporaryDirectory[str]":
    """A folder in memory, if that can be had."""
    return tempfile.TemporaryDirectory(prefix="bench-waiting-", dir=MEMORY if MEMORY.is_dir() else None)


@contextmanager
def _cloud(folder: Path, finished: Path | None, pubsub: str) -> Iterator[dict[str, Any]]:
    """An emulator whose region holds the finished jobs; killed at the end, for nobody needs its farewells."""
    temporary = folder / "tmp"
    temporary.mkdir()
    environment = {**os.environ, "TMPDIR": str(temporary)}
    with start_emulator(
        state=finished, pubsub=pubsub or None, log=folder / "emulator.log", env=environment
    ) as ready:
        try:
            yield ready
        finally:
            os.kill(ready["pid"], signal.SIGKILL)


@contextmanager
def _front(address: str, folder: Path) -> Iterator[str]:
    """TLS before the emulator; gives its `localhost:port`."""
    command = [sys.executable, str(HERE / "tls_front.py"), address, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            yield f"localhost:{process.stdout.readline().strip()}"
        finally:
            process.terminate()


@dataclass(frozen=True, slots=True)
class Side:
    """The process that waits, seen from outside."""

    process: "subprocess.Popen[str]"
    seen: psutil.Process
    log: Path

    def hear(self, word: str) -> None:
        """Wait until it says so; raises with its last words when it ends instead."""
        assert self.process.stdout
        said = self.process.stdout.readline().strip()
        if said != word:
            raise RuntimeError(f"The waiting process said {said!r}: {self.log.read_text()[-4_000:]}")

    def say(self) -> None:
        """The next step is due."""
        assert self.process.stdin
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def sample(self, control: Control) -> Sample:
        """What it has used until now."""
        used = self.seen.cpu_times()
        return Sample(control.reads(), used.user + used.system, time.monotonic())

    @property
    def rss_kb(self) -> float:
        """Resident memory now."""
        return float(self.seen.memory_info().rss) / 1024

    @property
    def sockets(self) -> int:
        """Connections that are open now."""
        return sum(c.status == psutil.CONN_ESTABLISHED for c in self.seen.net_connections("tcp"))


@contextmanager
def _side(folder: Path, plan: dict[str, Any], env: dict[str, str]) -> Iterator[Side]:
    (folder / "plan.json").write_text(json.dumps(plan))
    command = [sys.executable, str(HERE / "waiting_side.py"), "plan.json", "result.json"]
    log = folder / "side.log"
    with (
        log.open("w") as sink,
        subprocess.Popen(
            command,
            cwd=folder,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=sink,
            text=True,
        ) as process,
    ):
        try:
            yield Side(process, psutil.Process(process.pid), log)
        finally:
            process.kill()


def measure(
    cell: Cell, timing: Timing, finished: Path | None, pubsub: str, tell: Callable[[str], None]
) -> Seen:
    """Run one cell.

    :param finished: an emulator's state to begin with; it is used up
    :param pubsub: `host:port` of another Pub/Sub, "" for the emulator's own
    """
    with scratch() as name, ExitStack() as stack:
        folder = Path(name)
        ready = stack.enter_context(_cloud(folder, finished, pubsub))
        front = stack.enter_context(_front(ready["grpc"], folder))
        _topic(ready["env"]["PUBSUB_EMULATOR_HOST"])
        control = Control(ready["rest"])
        control.keep_waiting()
        tell("creating jobs")
        trickle = min(cell.waiting, TRICKLE)
        ticks = max(1, min(trickle, round(timing.spread_s / TICK_S)))
        groups = [str(n % ticks) if n < trickle else "rest" for n in range(cell.waiting)]
        random.Random(1).shuffle(groups)  # so that neither age nor place decides when a job ends
        jobs = make_jobs(ready["grpc"], groups)
        plan = {"side": cell.side, "jobs": jobs, "front": front}
        side = stack.enter_context(_side(folder, plan, _environment(folder, ready["env"], timing, cell)))
        side.hear("idle")
        return _watch(
            cell,
            timing,
            side,
            control,
            ready["grpc"],
            [*zip((n for n, _ in jobs), groups, strict=True)],
            ticks,
            folder,
            tell,
        )


def _watch(
    cell: Cell, timing: Timing, side: Side, control: Control, address: str, jobs: list[tuple[str, str]],
    ticks: int, folder: Path, tell: Callable[[str], None],
) -> Seen:  # fmt: skip
    if cell.quota:
        control.limit(QUOTA)
    idle, begun, first = side.rss_kb, time.monotonic(), control.reads()
    side.say()
    tell("starting to wait")
    side.hear("waiting")
    while cell.side == "stock" and control.reads() - first < cell.waiting:
        if time.monotonic() > begun + READY_S:
            raise RuntimeError(f"Not all triggers have read their jobs within {READY_S:.0f} s")
        time.sleep(0.5)
    ready_s = time.monotonic() - begun
    tell(f"waiting (all within {ready_s:.0f} s)")
    time.sleep(2)
    before = side.sample(control)
    time.sleep(timing.steady_s)
    after, rss, sockets = side.sample(control), side.rss_kb - idle, side.sockets
    tell("jobs end")
    start = time.monotonic()
    for tick in range(ticks):
        time.sleep(max(0.0, start + tick * timing.spread_s / ticks - time.monotonic()))
        control.let_fail(str(tick))
    patience = PATIENCE_S
    if "rest" in {group for _, group in jobs}:
        tell("the rest ends at once")
        time.sleep(2)
        control.let_fail("rest")
        patience = LAST_S
    result = _result(side, folder, patience)
    control.clear()
    return Seen(
        before=before, after=after, rss_kb=rss, sockets=sockets, ready_s=ready_s,
        ended=ends(address, {name for name, group in jobs if group != "rest"}),
        burst=ends(address, {name for name, group in jobs if group == "rest"}),
        fired={name: (at, said) for name, (at, said) in result["fired"].items()}, woken_by=result["woken_by"],
    )  # fmt: skip


def _result(side: Side, folder: Path, patience: float) -> dict[str, Any]:
    """What it writes when all have fired, or when that is no longer to be expected."""
    result, until = folder / "result.json", time.monotonic() + patience
    while not result.exists() and side.process.poll() is None and time.monotonic() < until:
        time.sleep(0.2)
    if side.process.poll() is None:
        side.say()
    if side.process.wait(LAST_S):
        raise RuntimeError(f"The waiting process broke: {side.log.read_text()[-4_000:]}")
    found: dict[str, Any] = json.loads(result.read_text())
    return found


def _topic(address: str) -> None:
    with grpc.insecure_channel(address) as channel:
        PublisherClient(transport=PublisherGrpcTransport(channel=channel)).create_topic(name=TOPIC)


def _environment(folder: Path, emulator: dict[str, str], timing: Timing, cell: Cell) -> dict[str, str]:
    return {
        **os.environ, **emulator,
        "PYTHONPATH": os.pathsep.join(str(ROOT / part) for part in ("plugins", "benchmarks")),
        "AIRFLOW_HOME": str(folder / "airflow"),
        "AIRFLOW_CONN_GOOGLE_CLOUD_DEFAULT": "google-cloud-platform://?project=local-project",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False", "NO_GCE_CHECK": "true",
        "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(folder / "certificate.pem"),
        "AIRFLOW_DISABLE_GREENBACK_PORTAL": str(not cell.portal),
        "GCP_JOBS_STATUS_TOPIC": TOPIC, "GCP_JOBS_SWEEP_SECONDS": str(timing.sweep_s),
    }  # fmt: skip
