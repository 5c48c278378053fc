"""python -m gcp_emulator.supervisor STATUS OUT ERR: starts and watches one container.

Standard input carries the order, then commands: one byte TERMINATE sends SIGTERM to the container's process
group, end of file (the emulator says so, or is gone) kills everything. STATUS, OUT, ERR are file descriptors;
STATUS gets lines of JSON: {"started": pid}, {"memory": bytes, "disk": bytes}, at the end {"code": exit code,
"signal": n or 0, "cpu": seconds} or {"refused": 126 | 127 | 125, "reason": text}.
"""

import contextlib
import ctypes
import errno
import json
import os
import resource
import select
import signal
import sys
import time

from gcp_emulator.supervisor import mounts, tree
from gcp_emulator.supervisor.order import TERMINATE, Order, read_order

_PDEATHSIG, _CHILD_SUBREAPER = 1, 36  # linux/prctl.h
_WORTH_TELLING = 64 * 1024
_libc = ctypes.CDLL(None, use_errno=True)


class Supervisor:
    """The loop around one container: commands in, samples and its end out."""

    def __init__(self, order: Order, status: int) -> None:
        self._order = order
        self._status = status
        self._wake, wake = os.pipe()
        os.set_blocking(wake, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        self._written_before = tree.disk(order.disk)
        self._told = 0
        self._disk, self._disk_due = 0, 0.0

    def run(self, out: int, err: int, commands: bytes = b"") -> None:
        """Starts the container and returns when it and everything below it has ended.

        `commands` are those that came together with the order.
        """
        refused, reason, pid = _start(self._order, out, err)
        os.close(out)
        os.close(err)
        if refused:
            os.waitpid(pid, 0)
            self._tell(refused=refused, reason=reason)
            return
        self._tell(started=pid)
        for command in commands:
            self._obey(pid, bytes([command]))
        code = self._watch(pid)
        tree.end_all(os.getpid())
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        if code is None:
            code = -signal.SIGKILL
        self._sample()
        self._tell(
            code=code if code >= 0 else 128 - code, signal=max(-code, 0), cpu=used.ru_utime + used.ru_stime
        )

    def _watch(self, pid: int) -> int | None:
        """The container's own exit (minus the signal that ended it), or nothing if it is to be killed."""
        pause = 0.0
        while True:
            ready, _, _ = select.select([0, self._wake], [], [], pause)
            if self._wake in ready:
                os.read(self._wake, 4096)
            if (code := _reap(pid)) is not None:
                return code
            if 0 in ready and not self._obey(pid, _command()):
                return None
            if not ready:
                start = time.monotonic()
                self._sample()
                # where a look takes long, look less often: never more than a tenth of one processor
                pause = max(self._order.interval_s, 9 * (time.monotonic() - start))

    @staticmethod
    def _obey(pid: int, command: bytes) -> bool:
        if command == TERMINATE:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGTERM)
        return bool(command)

    def _sample(self) -> None:
        memory = sum(map(tree.memory, tree.descendants(os.getpid())))
        start = time.monotonic()
        if start >= self._disk_due:
            self._disk = max(0, tree.disk(self._order.disk) - self._written_before)
            self._disk_due = time.monotonic() + 9 * (time.monotonic() - start)
        if abs(memory + self._disk - self._told) >= _WORTH_TELLING:
            self._told = memory + self._disk
            self._tell(memory=memory, disk=self._disk)

    def _tell(self, **fields: object) -> None:
        with contextlib.suppress(
            BrokenPipeError
        ):  # the emulator is gone: end of file on standard input ends us
            os.write(self._status, json.dumps(fields).encode() + b"\n")


def _command() -> bytes:
    """The next command; nothing when the emulator closed its end or is gone."""
    try:
        return os.read(0, 1)
    except ConnectionResetError:
        return b""


def _reap(main: int) -> int | None:
    code = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return code
        if pid == 0:
            return code
        if pid == main:
            code = os.waitstatus_to_exitcode(status)


def _start(order: Order, out: int, err: int) -> tuple[int, str, int]:
    """(0 or the exit code of a container that could not be started, why, process id)."""
    read, write = os.pipe()
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        _become(order, out, err, write, parent)
    os.close(write)
    with open(read, encoding="utf-8") as answer:
        code, _, reason = answer.read().partition(" ")
    return int(code or 0), reason, pid


def _become(order: Order, out: int, err: int, failed: int, parent: int) -> None:
    """In the child: replaces it by the container's command, or writes why not to `failed`."""
    code, what = 125, "the root file system"
    try:
        os.setsid()
        os.umask(0o022)
        if order.root:
            mounts.enter(order.root, order.binds)
        what = f"the working folder {order.cwd}"
        os.chdir(order.cwd)
        _libc.prctl(_PDEATHSIG, signal.SIGKILL, 0, 0, 0)  # after the namespaces, which would clear it
        if os.getppid() != parent:
            os._exit(125)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(out, 1)
        os.dup2(err, 2)
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        code, what = 126, order.argv[0]
        os.execvpe(order.argv[0], order.argv, dict(order.env))
    except OSError as error:
        if code == 126 and error.errno in (errno.ENOENT, errno.ENOTDIR):
            code = 127
        os.write(failed, f"{code} {what}: {error.strerror}".encode())
    finally:
        os._exit(code)


def main(status: int, out: int, err: int) -> None:
    """Runs one container; see the module."""
    for fd in (status, out, err):
        os.set_inheritable(fd, False)
    try:
        order, commands = read_order(0)
    except EOFError:
        return
    _libc.prctl(_CHILD_SUBREAPER, 1, 0, 0, 0)
    Supervisor(order, status).run(out, err, commands)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:4]))
