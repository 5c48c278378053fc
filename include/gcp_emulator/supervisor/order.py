"""What the emulator tells a supervisor, one line of JSON on its standard input."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass

TERMINATE = b"T"


@dataclass(frozen=True, slots=True)
class Order:
    """One container: what to execute, in which view, and whose bytes count.

    `root` set: the process gets it as its root with `binds` (host path, path in it, read-only), and `cwd` lies in it.
    `disk`: host folders; what they grow by counts as written.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: str
    root: str | None = None
    binds: tuple[tuple[str, str, bool], ...] = ()
    disk: tuple[str, ...] = ()
    interval_s: float = 0.1

    def encode(self) -> bytes:
        """One line of JSON."""
        return json.dumps(asdict(self)).encode() + b"\n"


def read_order(fd: int) -> tuple[Order, bytes]:
    """The order and what was read of the commands after it. Raises EOFError when the emulator is gone."""
    read = b""
    while b"\n" not in read:
        part = os.read(fd, 65536)
        if not part:
            raise EOFError
        read += part
    line, _, commands = read.partition(b"\n")
    fields = json.loads(line)
    fields["binds"] = tuple(map(tuple, fields["binds"]))
    return Order(**{**fields, "argv": tuple(fields["argv"]), "disk": tuple(fields["disk"])}), commands
