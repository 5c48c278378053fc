"""Time, memory and cancel end a task here as they do on Cloud Run."""

import asyncio
import re
import time
from pathlib import Path

import pytest

from gcp_emulator.runtime import attempt
from gcp_emulator.runtime.model import End, Mount, Volume

MIB = 1024 * 1024
HOLD = "import time\nprint('full')\ntime.sleep(60)\n"


def test_a_timeout_gives_the_task_time_to_clean_up(world):
    ran = world.shell("trap 'echo bye; exit 5' TERM; echo up; sleep 60 & wait", timeout_s=5)
    assert (ran.result.end, ran.result.exit_code, ran.lines) == (End.TIMED_OUT, 5, ["up", "bye"])
    assert ran.result.message == "Terminating task because it has reached the maximum timeout of 5 seconds."


def test_sigterm_reaches_the_whole_process_group(world):
    """A shell that does not pass the signal on must not keep it from the program that it runs."""
    inner = "trap 'echo inner; exit 0' TERM; echo up; sleep 60 & wait"
    ran = world.shell(f'trap : TERM; sh -c "{inner}" & wait; wait', cancel_at="up")
    assert ran.result.end is End.CANCELLED
    assert "inner" in ran.lines


def test_a_task_that_ignores_sigterm_is_killed_after_the_grace_period(world, monkeypatch):
    assert attempt.GRACE_S == 10
    monkeypatch.setattr(attempt, "GRACE_S", 0.3)
    start = time.monotonic()
    ran = world.shell("trap '' TERM; echo up; while true; do sleep 0.05; done", cancel_at="up")
    assert (ran.result.end, ran.result.exit_code) == (End.CANCELLED, 137)
    assert time.monotonic() - start >= 0.3


def test_cancel_before_the_start_runs_nothing(world):
    world.image("code", main_py="print('ran')")

    async def run():
        runtime = world.runtime()
        cancel = asyncio.Event()
        cancel.set()
        lines = []
        result = await runtime.run(world.task("code"), lambda *line: lines.append(line), cancel)
        await runtime.close()
        return result, lines

    result, lines = asyncio.run(run())
    assert (result.end, lines) == (End.CANCELLED, [])


def test_cancelling_the_call_kills_at_once(world):
    world.image("code", main_py="import os, time\nprint(os.getpid())\ntime.sleep(60)")

    async def run():
        runtime = world.runtime()
        pids = asyncio.Queue()
        task = asyncio.create_task(
            runtime.run(world.task("code"), lambda c, s, line: pids.put_nowait(int(line)))
        )
        pid = await pids.get()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await runtime.close()
        return pid

    assert not Path(f"/proc/{asyncio.run(run())}").exists()
    assert list(world.work.iterdir()) == []


def test_closing_the_runtime_cancels_what_runs(world):
    world.image("code", main_py="import time\nprint('up')\ntime.sleep(60)")

    async def run():
        runtime = world.runtime()
        up = asyncio.Event()
        task = asyncio.create_task(runtime.run(world.task("code"), lambda *_: up.set()))
        await up.wait()
        await runtime.close()
        return await task

    assert asyncio.run(run()).end is End.CANCELLED


@pytest.mark.parametrize(
    "code",
    [
        f"held = bytearray(150 << 20)\n{HOLD}",
        f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', '''held = bytearray(150 << 20)\n{HOLD}'''])",
        f"open('big', 'wb').write(b'x' * (150 << 20))\n{HOLD}",
        f"import tempfile\nf = tempfile.NamedTemporaryFile()\nf.write(b'x' * (150 << 20)); f.flush()\n{HOLD}",
    ],
    ids=["own memory", "a child's memory", "a file", "a temporary file"],
)
def test_over_the_memory_limit_a_task_is_killed(world, code):
    """Cloud Run's disk is memory: what a task writes counts like what it holds."""
    result = world.python(code, memory_bytes=100 * MIB, timeout_s=30).result
    assert (result.end, result.exit_code) == (End.OUT_OF_MEMORY, 137)
    assert re.match(r"Memory limit of 100 MiB exceeded with [12]\d\d MiB used\.", result.message)
    assert result.peak_memory_bytes > 100 * MIB


def test_below_the_limit_a_task_may_fill_and_free(world):
    code = "import os\nfor _ in range(4):\n open('f', 'wb').write(b'x' * (60 << 20))\n os.remove('f')\nprint('done')"
    ran = world.python(code, memory_bytes=200 * MIB)
    assert (ran.result.exit_code, ran.lines) == (0, ["done"])


def test_the_images_own_files_and_holes_do_not_count(world):
    folder = world.image("code", main_py="open('hole', 'wb').truncate(1 << 32)")
    (folder / "model.bin").write_bytes(b"x" * (150 << 20))
    result = world.run(world.task("code")).result
    assert result.exit_code == 0
    assert result.peak_memory_bytes < 100 * MIB


def test_in_memory_volumes_count_and_buckets_do_not(each_world, tmp_path):
    volumes = (Volume("mem"), Volume("bucket", path=str(tmp_path / "bucket")))
    mounts = (Mount("mem", "/mem"), Mount("bucket", "/bucket"))
    fields = {"volumes": volumes, "mounts": mounts, "memory_bytes": 50 * MIB, "timeout_s": 30}
    fill = 'head -c 60000000 /dev/zero > "$0/f"'
    ran = each_world.shell(f"{fill} && sleep 60", args=("/mem",), **fields)
    assert ran.result.end is End.OUT_OF_MEMORY
    ran = each_world.shell(fill, args=("/bucket",), **fields)
    assert ran.result.end is End.EXITED
    assert ran.result.peak_memory_bytes < 50 * MIB


def test_the_limit_is_the_sum_of_all_containers(world):
    """Cloud Run reports an instance's total: 60 and 60 MiB let one container hold 80."""
    world.image("code", main_py="held = bytearray(80 << 20)\nimport time\ntime.sleep(0.5)")
    spec = world.task("code", memory_bytes=60 * MIB)
    aside = world.script("aside", "sleep 60", memory_bytes=60 * MIB)
    both = type(spec)("t", (*spec.containers, aside))
    assert world.run(both).result.exit_code == 0
    assert world.run(spec).result.end is End.OUT_OF_MEMORY
