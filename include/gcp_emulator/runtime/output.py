"""Turns what a container writes into lines, none lost and none too long for a log entry."""

import asyncio
from collections.abc import Callable

LONGEST_LINE = 256 * 1024  # bytes of a log entry: https://cloud.google.com/logging/quotas
_CHUNK = 256 * 1024


class LineSplitter:
    """Bytes in, whole lines out. A longer line goes out in parts that do not cut a character; bytes that are not UTF-8
    are replaced; a carriage return before the newline is dropped."""

    def __init__(self, emit: Callable[[str], None], longest: int = LONGEST_LINE) -> None:
        self._emit = emit
        self._longest = longest
        self._rest = b""

    def feed(self, data: bytes) -> None:
        """Takes the next bytes and emits the lines that they complete."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._say(self._cut(line))
        self._rest = self._cut(self._rest)

    def close(self) -> None:
        """Emits what was written last without a newline."""
        if self._rest:
            self._say(self._rest)
            self._rest = b""

    def _cut(self, line: bytes) -> bytes:
        while len(line) > self._longest:
            end = self._longest
            while end > self._longest - 3 and line[end] & 0xC0 == 0x80:
                end -= 1
            self._say(line[:end])
            line = line[end:]
        return line

    def _say(self, line: bytes) -> None:
        self._emit(line.removesuffix(b"\r").decode("utf-8", errors="replace"))


async def follow(reader: asyncio.StreamReader, emit: Callable[[str], None]) -> None:
    """Emits lines until the last writer has closed its end."""
    lines = LineSplitter(emit)
    while data := await reader.read(_CHUNK):
        lines.feed(data)
    lines.close()
