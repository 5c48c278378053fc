"""One container, from its command line to its exit code and its log lines."""

import asyncio
import os
from pathlib import Path

import pytest

from gcp_emulator.runtime.model import Container, End, TaskSpec


def test_a_new_folder_is_a_new_image(world):
    """Adding an image must need no change in the emulator."""
    world.image(
        "fresh-image",
        "FROM python:3.12-slim\nENV WHO=world\nWORKDIR /srv/app\nCOPY src/ .\n"
        'ENTRYPOINT ["python", "main.py"]\nCMD ["hi"]\n',
        src__main_py="import os, sys; print(sys.argv[1], os.environ['WHO'])",
    )
    ran = world.run(world.task("europe-west1-docker.pkg.dev/p/r/fresh-image:7"))
    assert (ran.result.end, ran.result.exit_code, ran.result.message) == (End.EXITED, 0, "")
    assert ran.log == [("main", "stdout", "hi world")]
    assert ran.result.start_time < ran.result.end_time


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "E C"),
        ({"args": ("a",)}, "E a"),
        ({"command": ("echo", "X")}, "X"),
        ({"command": ("echo", "X"), "args": ("a",)}, "X a"),
    ],
)
def test_command_and_args_override_entrypoint_and_cmd(world, fields, said):
    world.image("i", 'FROM debian\nENTRYPOINT ["echo", "E"]\nCMD ["C"]')
    assert world.run(world.task("i", **fields)).lines == [said]


def test_a_shell_form_runs_in_a_shell_and_a_bash_script_is_an_entrypoint(world):
    folder = world.image(
        "i", 'FROM debian\nENV A="1 2"\nCOPY go.sh /usr/bin/go\nENTRYPOINT ["go"]\nCMD ["x"]'
    )
    (folder / "go.sh").write_text('#!/bin/sh\nset -eu\necho "got $1 $A"\nexec false\n')
    (folder / "go.sh").chmod(0o755)
    ran = world.run(world.task("i"))
    assert (ran.lines, ran.result.exit_code) == (["got x 1 2"], 1)
    world.image("s", 'FROM debian\nENV A=x\nCMD echo "$A" && exit 4')
    ran = world.run(world.task("s"))
    assert (ran.lines, ran.result.exit_code, ran.result.message) == (["x"], 4, "Container called exit(4).")


def test_chmod_of_a_copy_makes_a_script_executable(world):
    world.image(
        "i", 'FROM debian\nCOPY --chmod=755 go.sh /go\nENTRYPOINT ["/go"]', go_sh="#!/bin/sh\necho went\n"
    )
    assert world.run(world.task("i")).lines == ["went"]


def test_nothing_of_the_emulators_environment_reaches_a_task(world, monkeypatch):
    """Else a job works on the laptop by luck and fails on Google, or leaks a developer's keys."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "leak")
    monkeypatch.setenv("PYTHONPATH", "/leak")
    world.image("i", 'FROM debian\nENV A=image B=image\nCMD ["env"]')
    ran = world.run(world.task("i", env={"B": "job"}, service_account="sa@p"))
    env = dict(line.split("=", 1) for line in ran.lines)
    assert (env["A"], env["B"], env["GCE_METADATA_HOST"]) == ("image", "job", "127.0.0.1:9")
    names = {
        "A",
        "B",
        "PATH",
        "HOME",
        "TMPDIR",
        "LANG",
        "PYTHONUNBUFFERED",
        "GCE_METADATA_HOST",
        "GCE_METADATA_IP",
    }
    assert set(env) == names


def test_each_attempt_has_folders_of_its_own_that_are_gone_afterwards(each_world):
    script = 'pwd; ls -A . "$HOME" "$TMPDIR"; touch here "$HOME/h" "$TMPDIR/t"; mkdir shut; chmod 0 shut'
    first, second = (each_world.shell(script) for _ in range(2))
    assert first.result.exit_code == second.result.exit_code == 0
    assert "Dockerfile" in second.lines
    assert not {"here", "h", "t", "shut"} & set(second.lines)
    assert list(each_world.work.iterdir()) == []


def test_the_image_folder_itself_is_never_written(world):
    world.image(
        "i",
        'FROM debian\nWORKDIR /app\nCOPY f.txt .\nCMD ["sh", "-c", "echo spoiled > f.txt"]',
        f_txt="clean",
    )
    assert world.run(world.task("i")).result.exit_code == 0
    assert (world.images / "i" / "f.txt").read_text() == "clean"


def test_working_dir_of_the_job_wins_and_is_made(each_world):
    ran = each_world.shell("pwd", working_dir="/elsewhere/sub")
    assert ran.lines[0].endswith("/elsewhere/sub")


def test_an_interpreter_given_by_its_path_in_the_image_is_found(world):
    world.image(
        "i",
        'FROM python:3.12\nCOPY m.py /m.py\nENTRYPOINT ["/opt/venv/bin/python", "/m.py"]',
        m_py="print(1)",
    )
    assert world.run(world.task("i")).lines == ["1"]


@pytest.mark.parametrize(
    ("command", "code", "reason"),
    [
        (("no-such-program",), 127, "no-such-program: No such file"),
        (("/app/data.txt",), 126, "Permission denied"),
        ((), 125, "ENTRYPOINT, CMD"),
    ],
)
def test_a_command_that_cannot_run_is_told_from_one_that_failed(each_world, command, code, reason):
    each_world.image("i", "FROM debian\nWORKDIR /app\nCOPY data.txt .", data_txt="x")
    result = each_world.run(each_world.task("i", command=command)).result
    assert (result.end, result.exit_code) == (End.NOT_STARTED, code)
    assert reason in result.message


def test_an_image_that_went_missing_is_a_result_not_a_crash(world):
    result = world.run(world.task("gone")).result
    assert result.end is End.NOT_STARTED
    assert "add a folder" in result.message


@pytest.mark.parametrize(("signal", "code"), [("TERM", 143), ("KILL", 137), ("SEGV", 139)])
def test_a_signal_shows_as_128_and_its_number(world, signal, code):
    result = world.shell(f"kill -{signal} $$").result
    assert (result.end, result.exit_code) == (End.EXITED, code)
    assert result.message == f"Container terminated on signal {code - 128}."


def test_every_line_arrives_by_stream_and_in_order(world):
    ran = world.shell("for i in $(seq 2000); do echo $i; done; echo err >&2; printf last")
    out = [line for _, stream, line in ran.log if stream == "stdout"]
    assert out == [*map(str, range(1, 2001)), "last"]
    assert ("main", "stderr", "err") in ran.log


def test_a_very_long_line_and_bytes_that_are_no_text_come_through(world):
    ran = world.python("import sys; sys.stdout.buffer.write(b'x' * 300_000 + b'\\n\\xff\\n')")
    assert list(map(len, ran.lines)) == [256 * 1024, 300_000 - 256 * 1024, 1]
    assert ran.lines[-1] == "\ufffd"


def test_lines_arrive_while_the_task_runs(world):
    """`print` without flush must be seen at once: the task waits for a sign that comes after its line was seen."""
    sign = world.folder / "sign"
    code = "import os, time, sys\nprint('hello')\nwhile not os.path.exists(sys.argv[1]): time.sleep(0.01)\n"
    world.image("code", main_py=code)

    async def run():
        runtime = world.runtime()
        result = await runtime.run(
            world.task("code", args=(str(sign),), timeout_s=20),
            lambda c, s, line: line == "hello" and sign.touch(),
        )
        await runtime.close()
        return result

    assert asyncio.run(run()).exit_code == 0


def test_processes_that_a_task_leaves_behind_end_with_it(world):
    """Also those that hid in a session of their own, whose output would else be waited for for ever."""
    code = """import os, subprocess, sys, time
loop = "import time; time.sleep(600)"
daemon = subprocess.Popen([sys.executable, "-c", loop], start_new_session=True)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.write(1, b"%d\\n" % os.getpid())
        time.sleep(600)
    os._exit(0)
os.wait()
os.write(1, b"%d\\n" % daemon.pid)
"""
    ran = world.python(code)
    assert ran.result.exit_code == 0
    assert len(ran.lines) in (1, 2)  # the last of them may be killed before it has written
    assert not any(Path(f"/proc/{pid}").exists() for pid in ran.lines)


def test_many_tasks_at_once(world):
    world.image("i", 'FROM debian\nCMD ["sh", "-c", "echo $N"]')
    lines = []

    async def run():
        runtime = world.runtime()
        specs = [TaskSpec(f"t{n}", (Container("c", "i", env={"N": str(n)}),)) for n in range(20)]
        results = await asyncio.gather(
            *(runtime.run(spec, lambda *line: lines.append(line)) for spec in specs)
        )
        await runtime.close()
        return results

    assert [result.exit_code for result in asyncio.run(run())] == [0] * 20
    assert sorted(int(line) for _, _, line in lines) == list(range(20))


def test_what_it_used_is_reported(world):
    result = world.python(
        "x = bytearray(64 << 20)\nimport time\nend = time.process_time() + 0.4\nwhile time.process_time() < end: pass"
    ).result
    assert result.cpu_seconds >= 0.4
    assert result.peak_memory_bytes > 64 << 20


def test_leftovers_of_a_killed_emulator_are_removed(world):
    dead = next(pid for pid in range(4_000_000, 5_000_000) if not Path(f"/proc/{pid}").exists())
    (world.work / f"{dead}-task-0").mkdir(parents=True)
    (world.work / f"{os.getpid()}-task-0").mkdir()
    world.shell("true")
    assert [path.name for path in world.work.iterdir()] == [f"{os.getpid()}-task-0"]
