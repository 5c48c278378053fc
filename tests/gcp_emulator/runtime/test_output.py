"""A lost or mangled line is a lost clue."""

import pytest

from gcp_emulator.runtime.output import LineSplitter


def split(*chunks, longest=8):
    lines = []
    splitter = LineSplitter(lines.append, longest)
    for chunk in chunks:
        splitter.feed(chunk)
    splitter.close()
    return lines


@pytest.mark.parametrize(
    ("chunks", "lines"),
    [
        ([b"a\nb\n"], ["a", "b"]),
        ([b"a", b"b\nc"], ["ab", "c"]),
        ([b"\n\n"], ["", ""]),
        ([b"dos\r\n"], ["dos"]),
        ([b"\xff\xfeok\n"], ["\ufffd\ufffdok"]),
        ([b"12345678\n"], ["12345678"]),
        ([b"123456789\n"], ["12345678", "9"]),
        ([b"1234567", b"89abcdefgh"], ["12345678", "9abcdefg", "h"]),
        (["1234567é9\n".encode()], ["1234567", "é9"]),
        (["12345\N{DOG}\n".encode()], ["12345", "\N{DOG}"]),
    ],
)
def test_lines_are_whole_and_none_is_lost(chunks, lines):
    assert split(*chunks) == lines


def test_bytes_that_never_start_a_character_do_not_stop_the_splitting():
    assert "".join(split(b"\x80" * 20)) == "\ufffd" * 20
