"""Several containers of one task: who starts when, and who ends whom."""

import socket

import pytest

from gcp_emulator.runtime.model import Container, End, Mount, Probe, TaskSpec, Volume


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def test_the_main_containers_end_ends_the_task_and_the_sidecars_may_clean_up(each_world):
    shared = (Mount("shared", "/shared"),)
    aside = each_world.script(
        "aside",
        "trap 'echo stopped; exit 9' TERM; touch $0/up; while true; do sleep 0.02; done",
        args=("/shared",),
        mounts=shared,
    )
    main = each_world.script(
        "main", "while ! test -e $0/up; do sleep 0.02; done; exit 3", args=("/shared",), mounts=shared
    )
    ran = each_world.run(TaskSpec("t", (aside, main), volumes=(Volume("shared"),), main="main"))
    assert (ran.result.end, ran.result.exit_code) == (End.EXITED, 3)
    assert ("aside", "stdout", "stopped") in ran.log


def test_the_first_container_is_the_main_one_unless_named(world):
    spec = TaskSpec("t", (world.script("a", "exit 4"), world.script("b", "sleep 60")))
    assert world.run(spec).result.exit_code == 4


def test_a_sidecar_that_ends_early_does_not_end_the_task(world):
    mounts = (Mount("v", "/v"),)
    early = world.script("early", "exit 1")
    script = "while ! test -e $0/done; do sleep 0.02; done; exit 0"
    late = world.script("late", "sleep 0.2; touch $0/done", args=("/v",), mounts=mounts)
    main = world.script("main", script, args=("/v",), mounts=mounts)
    ran = world.run(TaskSpec("t", (main, early, late), volumes=(Volume("v"),)))
    assert (ran.result.end, ran.result.exit_code) == (End.EXITED, 0)


def test_a_container_starts_after_those_that_it_depends_on(world):
    mounts = (Mount("v", "/v"),)
    started = "cut -d' ' -f22 /proc/$$/stat; touch $0/$1; "
    script = started + "while ! test -e $0/main -a -e $0/a -a -e $0/b; do sleep 0.02; done"

    def container(name, *depends_on):
        return world.script(name, script, args=("/v", name), mounts=mounts, depends_on=depends_on)

    spec = TaskSpec(
        "t", (container("main", "b"), container("b", "a"), container("a")), volumes=(Volume("v"),)
    )
    ran = world.run(spec)
    ticks = {who: int(line) for who, _, line in ran.log}
    assert ran.result.exit_code == 0
    assert ticks["a"] <= ticks["b"] <= ticks["main"]


@pytest.mark.parametrize("path", [None, "/health"])
def test_a_dependency_must_pass_its_startup_probe(world, path):
    """The server listens late; without the probe the main container would find nothing there."""
    port = free_port()
    world.image(
        "code",
        main_py=f"""import http.server, time
time.sleep(0.3)
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/health" else 500)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", {port}), Handler).serve_forever()
""",
    )
    probe = Probe(port, path, period_s=0.05, failure_threshold=200)
    server = Container("server", "code", startup_probe=probe)
    world.image(
        "client", main_py=f"import socket; socket.create_connection(('127.0.0.1', {port}), 5); print('ok')"
    )
    client = Container("client", "client", depends_on=("server",))
    ran = world.run(TaskSpec("t", (client, server), timeout_s=20))
    assert (ran.result.exit_code, [line for who, _, line in ran.log if who == "client"]) == (0, ["ok"])


def test_a_probe_that_never_passes_fails_the_start(world):
    probe = Probe(free_port(), period_s=0.05, failure_threshold=3)
    server = world.script("server", "sleep 60", startup_probe=probe)
    main = world.script("main", "echo ran", depends_on=("server",))
    ran = world.run(TaskSpec("t", (main, server)))
    assert ran.result.end is End.NOT_STARTED
    assert "'server' failed its startup probe" in ran.result.message
    assert ran.lines == []


def test_a_dependency_that_cannot_start_fails_the_task(world):
    world.image("i", "FROM debian")
    spec = TaskSpec(
        "t", (world.script("main", "echo ran", depends_on=("x",)), Container("x", "i", command=("nope",)))
    )
    ran = world.run(spec)
    assert (ran.result.end, ran.result.exit_code, ran.lines) == (End.NOT_STARTED, 127, [])


@pytest.mark.parametrize(
    ("containers", "main", "reason"),
    [
        ((), "", "needs containers"),
        ((Container("a", "i"), Container("a", "i")), "", "names of their own"),
        ((Container("a", "i"),), "b", "main container 'b'"),
        ((Container("a", "i", depends_on=("b",)),), "", "depends on 'b'"),
        ((Container("a", "i", depends_on=("b",)), Container("b", "i", depends_on=("a",))), "", "in a circle"),
        ((Container("a", "i", mounts=(Mount("v", "/v"),)),), "", "mounts 'v'"),
    ],
)
def test_names_that_contradict_each_other_are_refused(world, containers, main, reason):
    world.image("i", 'FROM debian\nCMD ["true"]')
    result = world.run(TaskSpec("t", containers, main=main)).result
    assert result.end is End.NOT_STARTED
    assert reason in result.message
