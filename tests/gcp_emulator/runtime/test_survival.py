"""Nothing of a task outlives the emulator, however it ends."""

import os
import signal
import subprocess
import sys
from pathlib import Path

INCLUDE = Path(__file__).parents[3] / "include"
EMULATOR = """
import asyncio, sys
from pathlib import Path
from gcp_emulator.runtime import Runtime
from gcp_emulator.runtime.model import Container, TaskSpec

async def metadata(account, project):
    return ""

async def main(images, cache, work):
    runtime = Runtime(Path(images), Path(cache), Path(work), metadata)
    await runtime.run(TaskSpec("t", (Container("c", "code"),)), lambda c, s, line: print(line, flush=True))

asyncio.run(main(*sys.argv[1:]))
"""
TASK = """import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
hidden = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
print(os.getpid(), hidden.pid)
time.sleep(600)
"""


def test_a_killed_emulator_takes_its_tasks_with_it(world, wait_for):
    world.image("code", main_py=TASK)
    emulator = subprocess.Popen(
        [sys.executable, "-c", EMULATOR, world.images, world.env_cache, world.work],
        env={**os.environ, "PYTHONPATH": str(INCLUDE)},
        stdout=subprocess.PIPE,
        text=True,
    )
    with emulator:
        pids = emulator.stdout.readline().split()
        assert len(pids) == 2
        assert all(Path(f"/proc/{pid}").exists() for pid in pids)
        emulator.send_signal(signal.SIGKILL)
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))


def test_a_killed_supervisor_ends_its_task_as_killed(world, wait_for):
    """The machine's own memory killer may choose it: the attempt must end, not hang."""
    code = "import os, signal, time\nos.write(1, b'%d' % os.getpid())\n"
    code += "os.kill(os.getppid(), signal.SIGKILL)\ntime.sleep(600)"
    ran = world.python(code)
    assert ran.result.exit_code == 137
    wait_for(lambda: not Path(f"/proc/{ran.lines[0]}").exists())
