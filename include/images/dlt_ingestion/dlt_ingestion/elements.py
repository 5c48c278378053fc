"""A JSON array read piece by piece: bytes in, its elements out as the bytes they were, memory flat however long it is.

Most of it goes through msgspec, which checks the JSON without building objects from it: the buffer is cut behind a
`}` that a comma follows, and the piece before the cut is an array of its own exactly when the cut lies between two
elements. What this cannot take (elements that are no objects, a NaN that JSON does not know, bytes that are no UTF-8)
is read one element at a time instead, so that one bad record costs only itself.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import msgspec

STEP_BYTES = 512 * 1024  # parsed at a time
MAX_ELEMENT_BYTES = 16 * 1024 * 1024
_NUMBER_CHARS = 64
_CUTS = 8  # places to try before going one by one
_BLANK = b" \t\r\n"
_ARRAY = msgspec.json.Decoder(list[msgspec.Raw])
_GAP = re.compile(r"[ \t\r\n]*")


class NotAnArray(ValueError):
    """The body is something else; `start` is how it begins."""

    def __init__(self, start: bytes) -> None:
        super().__init__("not a JSON array")
        self.start = start


class BrokenArray(ValueError):
    """The array stops too early or goes on with something that is no JSON."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An element that is no JSON by itself, with its text."""

    text: str
    reason: str


Element = bytes | Unreadable


def elements(chunks: Iterable[bytes]) -> Iterator[list[Element]]:
    """The array's elements in order, in batches. Raises NotAnArray or BrokenArray."""
    array = _Array()
    for chunk in chunks:
        array.feed(chunk)
        while array.ready:
            found = array.take(last=False)
            if not found:
                break
            yield found
    while found := array.take(last=True):
        yield found
    array.finish()


class _Array:
    """The unread rest of the text, and where in the array it begins."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._wanted = STEP_BYTES
        self._opened = False
        self._closed = False
        self._comma = False  # an element must follow
        self._tail = b""  # the start of a character whose rest is still to come

    @property
    def ready(self) -> bool:
        return len(self._buffer) >= self._wanted

    def feed(self, chunk: bytes) -> None:
        self._buffer += chunk

    def take(self, *, last: bool) -> list[Element]:
        """The next elements, or none when more bytes are needed or the end is reached."""
        if self._closed or not self._open():
            return []
        found = self._all() if last else self._cut()
        if found is None:
            found = self._one_by_one(last=last)
        self._wanted = STEP_BYTES if found else len(self._buffer) + STEP_BYTES
        return found

    def finish(self) -> None:
        """Checks that the array was whole and that nothing follows it."""
        if not self._opened:
            raise BrokenArray("the body is empty")
        if not self._closed:
            raise BrokenArray("the array never ends")
        if self._buffer.strip(_BLANK):
            raise BrokenArray("something follows the array")

    def _open(self) -> bool:
        if self._opened:
            return True
        body = self._buffer.removeprefix(b"\xef\xbb\xbf").lstrip(_BLANK)
        if not body:
            return False
        if not body.startswith(b"["):
            raise NotAnArray(bytes(body[:2_000]))
        self._buffer = body[1:]
        self._opened = True
        return True

    def _all(self) -> list[Element] | None:
        """Everything up to the closing bracket, when all of it is there and in order."""
        found = _parsed(b"[" + self._buffer)
        if found is None:
            return None
        if not found and self._comma:
            raise BrokenArray("the array ends with a comma")
        self._buffer.clear()
        self._closed = True
        return found

    def _cut(self) -> list[Element] | None:
        """Everything up to the last comma between two objects."""
        end = len(self._buffer)
        for _ in range(_CUTS):
            end = self._buffer.rfind(b"},", 0, end)
            if end < 0:
                return None
            found = _parsed(b"[" + self._buffer[: end + 1] + b"]")
            if found is not None:
                del self._buffer[: end + 2]
                self._comma = True
                return found
        return None

    def _one_by_one(self, *, last: bool) -> list[Element]:
        text = self._text(last=last)
        found: list[Element] = []
        at = _end_of(_GAP, text, 0)
        if not self._comma and text[at : at + 1] == "]":
            return self._close(text, at)
        while True:
            element, behind = _element(text, at)
            if behind is None:
                break
            mark = text[behind : behind + 1]
            if not mark or (mark not in ",]" and not last and len(text) - behind < _NUMBER_CHARS):
                break  # a number may go on in the next chunk: 1.5 as 1.5e-7
            if mark not in ",]":
                raise BrokenArray(f"a comma or ] is missing before {text[behind : behind + 40]!r}")
            found.append(element)
            if mark == "]":
                self._close(text, behind)
                return found
            self._comma = True
            at = _end_of(_GAP, text, behind + 1)
        self._keep(text[at:])
        if not found and (last or len(self._buffer) > MAX_ELEMENT_BYTES):
            raise BrokenArray(f"the array breaks off or goes wrong at {text[at : at + 60]!r}")
        return found

    def _text(self, *, last: bool) -> str:
        """The buffer as text, less a character that is not all there yet; wrong bytes become surrogates."""
        usable = len(self._buffer)
        for back in range(1, 1 if last else min(4, usable + 1)):
            if self._buffer[-back] >= 0xC0:
                usable -= back
                break
        self._tail = bytes(self._buffer[usable:])
        return self._buffer[:usable].decode("utf-8", "surrogateescape")

    def _keep(self, text: str) -> None:
        self._buffer = bytearray(text.encode("utf-8", "surrogateescape") + self._tail)

    def _close(self, text: str, at: int) -> list[Element]:
        self._keep(text[at + 1 :])
        self._closed = True
        return []


def _parsed(text: bytes | bytearray) -> list[Element] | None:
    try:
        text.decode()  # msgspec does not look at the bytes of a text that it skips
        return [bytes(raw) for raw in _ARRAY.decode(text)]
    except (UnicodeDecodeError, msgspec.DecodeError, RecursionError):
        return None


def _end_of(pattern: re.Pattern[str], text: str, at: int) -> int:
    match = pattern.match(text, at)
    return match.end() if match else at


def _element(text: str, at: int) -> tuple[Element, int | None]:
    """The element at `at` and where the next mark is, or None there when it is not complete."""
    constants: list[str] = []
    try:
        _, end = json.JSONDecoder(parse_constant=constants.append).raw_decode(text, at)
    except (json.JSONDecodeError, RecursionError):
        return b"", None
    raw, behind = text[at:end], _end_of(_GAP, text, end)
    if constants:
        return Unreadable(raw, f"{constants[0]} is no JSON"), behind
    try:
        return raw.encode(), behind
    except UnicodeEncodeError:
        shown = raw.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        return Unreadable(shown, "bytes that are no UTF-8"), behind
