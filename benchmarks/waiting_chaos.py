"""`make chaos-waiting`: 100,000 waits under faults of messages and of calls; none may be lost, wrong or doubled.

Of all messages 5 % are lost, 20 % come twice and the others overtake each other; reads fail in bursts. Most jobs fail,
some are cancelled, some succeed. Each wave's jobs are waited for in a process of its own, by Airflow's TriggerRunner,
and the verdicts are compared with the emulator's own record. Writes build/chaos-waiting.json.
"""

import argparse
import asyncio
import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "include")]

from benchmarks.waiting_cell import scratch  # noqa: E402
from benchmarks.waiting_jobs import GET, LIST, OPTIONS, PAGE, PARENT, TOPIC, Control, make_jobs  # noqa: E402

MESSAGES = {"drop": 0.05, "double": 0.2, "reorder": 0.75, "delay_s": 2.0}
BURSTS = ("UNAVAILABLE", "RESOURCE_EXHAUSTED", "INTERNAL")
TICKS = 10
CANCELLED, SUCCEEDED = 0.1, 0.02  # shares; the others fail
READS_A_S = 500  # there is no quota here, but thousands of reads at once would cost memory that no wait has
PATIENCE_S = 900.0
OUTPUT = ROOT / "build" / "chaos-waiting.json"


@dataclass(frozen=True, slots=True)
class Seen:
    """What became of the waits. `reads_per_job` counts all reads and lists, `peak_rss_mb` is the worst wave's."""

    jobs: int
    lost: int
    wrong_verdicts: int
    fired_twice: int
    reads_per_job: float
    peak_rss_mb: float

    @property
    def right(self) -> bool:
        """Whether every wait has ended once and as its job did."""
        return not (self.lost or self.wrong_verdicts or self.fired_twice)


def judged(states: dict[str, str], said: dict[str, Any], reads: int) -> Seen:
    """Compare what the waits said with the emulator's record of the same jobs.

    :param states: the jobs' states by their names
    :param said: `fired` (payloads by job), `twice` (how many events came after a wait's first), `rss_mb`
    """
    fired = said["fired"]
    wrong = [n for n, told in fired.items() if (told["outcome"], told.get("state")) != ("ended", states[n])]
    lost = len(states.keys() - fired.keys())
    return Seen(len(states), lost, len(wrong), said["twice"], round(reads / len(states), 2), said["rss_mb"])


def together(waves: Sequence[Seen]) -> Seen:
    """All waves as one."""
    jobs = sum(wave.jobs for wave in waves)
    return Seen(
        jobs, sum(w.lost for w in waves), sum(w.wrong_verdicts for w in waves), sum(w.fired_twice for w in waves),
        round(sum(w.reads_per_job * w.jobs for w in waves) / jobs, 2), max(w.peak_rss_mb for w in waves),
    )  # fmt: skip


def wave(count: int, sweep_s: float, seed: int) -> Seen:
    """Let so many jobs be waited for in a cloud of their own."""
    import grpc
    from google.pubsub_v1 import PublisherClient
    from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport

    from gcp_emulator.process import start

    with scratch() as name, ExitStack() as stack:
        folder = Path(name)
        (folder / "tmp").mkdir()
        environment = {**os.environ, "TMPDIR": str(folder / "tmp")}
        ready = stack.enter_context(start(log=folder / "emulator.log", env=environment))
        channel = stack.enter_context(grpc.insecure_channel(ready["grpc"], OPTIONS))
        PublisherClient(transport=PublisherGrpcTransport(channel=channel)).create_topic(name=TOPIC)
        control, chance = Control(ready["rest"]), random.Random(seed)
        for kind in ("f", "c"):
            control.add(kind="exhaust", machine_type=f"bench-{kind}*")
        groups = [_group(chance) for _ in range(count)]
        jobs = make_jobs(ready["grpc"], groups)
        control.add(kind="messages", seed=seed, **MESSAGES)
        _burst(control, count, seed)
        before = control.reads()
        with _waiting(folder, jobs, {**ready["env"], "GCP_JOBS_SWEEP_SECONDS": str(sweep_s)}) as side:
            _end(control, channel, jobs, groups, seed)
            said = _said(side, folder)
        reads = control.reads() - before
        control.clear()
        return judged(_states(channel), said, reads)


def _group(chance: random.Random) -> str:
    at = chance.random()
    if at < SUCCEEDED:
        return "runs"
    return "c" if at < SUCCEEDED + CANCELLED else f"f{chance.randrange(TICKS)}."


def _burst(control: Control, count: int, seed: int) -> None:
    """Half of the next reads fail, as many as a fifth of the jobs."""
    code = BURSTS[seed % len(BURSTS)]
    control.add(kind="call", methods=[GET, LIST], code=code, share=0.5, times=max(1, count // 5), seed=seed)


def _end(control: Control, channel: Any, jobs: list[tuple[str, str]], groups: list[str], seed: int) -> None:
    from google.api_core import exceptions as google
    from google.api_core.retry import Retry, if_exception_type
    from google.cloud import batch_v1
    from google.cloud.batch_v1.services.batch_service.transports import BatchServiceGrpcTransport

    api = batch_v1.BatchServiceClient(transport=BatchServiceGrpcTransport(channel=channel))
    again = Retry(predicate=if_exception_type(google.Cancelled, google.ServiceUnavailable, google.Aborted))
    stopped = [name for (name, _), group in zip(jobs, groups, strict=True) if group == "c"]
    for tick in range(TICKS):
        control.let_fail(f"f{tick}.")
        for name in stopped[tick::TICKS]:
            api.cancel_job(batch_v1.CancelJobRequest(name=name), retry=again)
        if tick % 3 == 1:
            _burst(control, len(jobs), seed + tick)
        time.sleep(0.5)


def _states(channel: Any) -> dict[str, str]:
    from google.cloud import batch_v1
    from google.cloud.batch_v1.services.batch_service.transports import BatchServiceGrpcTransport

    api = batch_v1.BatchServiceClient(transport=BatchServiceGrpcTransport(channel=channel))
    names = batch_v1.JobStatus.State
    pages = api.list_jobs(batch_v1.ListJobsRequest(parent=PARENT, page_size=PAGE)).pages
    found = (job for page in pages for job in batch_v1.ListJobsResponse.pb(page).jobs)
    return {job.name: names(job.status.state).name for job in found}


@contextmanager
def _waiting(
    folder: Path, jobs: list[tuple[str, str]], env: dict[str, str]
) -> Iterator["subprocess.Popen[str]"]:
    """The process that waits for all of them; once it has read each of them."""
    (folder / "jobs.json").write_text(json.dumps(jobs))
    given = {
        **os.environ, **env, "AIRFLOW_HOME": str(folder / "airflow"), "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW_CONN_GOOGLE_CLOUD_DEFAULT": "google-cloud-platform://?project=local-project",
        "PYTHONPATH": os.pathsep.join(str(ROOT / part) for part in ("plugins", "benchmarks")),
        "NO_GCE_CHECK": "true", "GCP_JOBS_STATUS_TOPIC": TOPIC, "GCP_JOBS_JOB_READS_PER_MINUTE": str(60 * READS_A_S),
    }  # fmt: skip
    command = [sys.executable, str(Path(__file__)), "--side", str(folder)]
    with (
        (folder / "side.log").open("w") as log,
        subprocess.Popen(command, env=given, stdout=subprocess.PIPE, stderr=log, text=True) as side,
    ):
        try:
            assert side.stdout
            while (line := side.stdout.readline()) and line.strip() != "waiting":
                pass
            if not line:
                raise RuntimeError(f"The waiting process broke: {(folder / 'side.log').read_text()[-4_000:]}")
            yield side
        finally:
            side.kill()


def _said(side: "subprocess.Popen[str]", folder: Path) -> dict[str, Any]:
    """What it says in the end, or so far when that does not come."""
    result, until = folder / "result.json", time.monotonic() + PATIENCE_S
    while side.poll() is None and time.monotonic() < until:
        time.sleep(0.2)
    if not result.exists():
        raise RuntimeError(f"The waiting process broke: {(folder / 'side.log').read_text()[-4_000:]}")
    found: dict[str, Any] = json.loads(result.read_text())
    return found


class Fired(dict[int, tuple[float, dict[str, Any]]]):
    """The first event of each trigger; counts those that came after it."""

    twice = 0

    def setdefault(self, key: int, default: Any = None) -> Any:
        self.twice += key in self
        return super().setdefault(key, default)


async def wait_for(folder: Path) -> None:
    """Wait for all jobs of a folder's jobs.json; `waiting` on stdout when each was read, result.json in the end."""
    from benchmarks.waiting_side import LOOK_S, Runner, ours

    from gcp_jobs.clients import Access
    from gcp_jobs.hub import hub_for
    from gcp_jobs.hub.counts import Count

    jobs, parent = json.loads((folder / "jobs.json").read_text()), os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    fired = Fired()
    with (folder / "triggers.log").open("w") as log:
        tasks = Runner(ours(jobs), log, fired).start()
        hub = hub_for(Access())
        assert hub
        over = asyncio.gather(*tasks)
        while not over.done() and hub.counts[Count.FIRST_READS] + hub.counts[Count.FIRST_LISTED] < len(jobs):
            await asyncio.sleep(LOOK_S)
        print("waiting", file=parent, flush=True)
        await asyncio.wait({over}, timeout=PATIENCE_S - 60)
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    told = {jobs[number][0]: payload for number, (_, payload) in fired.items()}
    (folder / "result.json").write_text(
        json.dumps({"fired": told, "twice": fired.twice, "rss_mb": round(rss, 1)})
    )
    os._exit(0)  # what is left has nothing to say


def main() -> None:
    """Exit code 1 where a wait was lost, wrong or doubled."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    options.add_argument("--jobs", type=int, default=100_000)
    options.add_argument("--wave", type=int, default=20_000, help="how many are waited for at once")
    options.add_argument("--sweep", type=float, default=5.0, help="seconds between sweeps (by default 600)")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--side", type=Path, help=argparse.SUPPRESS)
    asked = options.parse_args()
    if asked.side:
        asyncio.run(wait_for(asked.side))
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended
    waves: list[Seen] = []
    for number, done in enumerate(range(0, asked.jobs, asked.wave)):
        begun, seed = time.monotonic(), asked.seed + number
        waves.append(wave(min(asked.wave, asked.jobs - done), asked.sweep, seed))
        print(
            f"wave {number + 1}, seed {seed}, {time.monotonic() - begun:.0f} s: {asdict(waves[-1])}",
            flush=True,
        )
        OUTPUT.parent.mkdir(exist_ok=True)
        OUTPUT.write_text(json.dumps(asdict(together(waves)), indent=2) + "\n")
    print(json.dumps(asdict(together(waves))))
    sys.exit(0 if together(waves).right else 1)


if __name__ == "__main__":
    main()
