"""A small real job: counts primes, each task of an array in its own slice; `gather` adds the slices' parts up.

count_primes.py count --upto 1000000 [--parts FOLDER]     one slice of BATCH_TASK_COUNT, the BATCH_TASK_INDEX-th
count_primes.py gather --parts FOLDER --expect 4          the sum, when all parts are there

Exit codes: 0 done, 2 wrong arguments, 3 parts are missing or unreadable. Log lines are JSON, as Cloud Logging has them.
"""

import argparse
import json
import os
import sys
from pathlib import Path

from secret_files import write_secret_files


def say(message: str, severity: str = "INFO", **fields: object) -> None:
    """Print one log entry."""
    print(json.dumps({"severity": severity, "message": message, **fields}), flush=True)


def primes_between(low: int, high: int) -> int:
    """Count primes p with low <= p < high, by a sieve over that interval alone."""
    low = max(low, 2)
    if high <= low:
        return 0
    root = int(high**0.5) + 1
    small = bytearray([1]) * (root + 1)
    sieve = bytearray([1]) * (high - low)
    for n in range(2, root + 1):
        if small[n]:
            small[n * n :: n] = bytes(len(range(n * n, root + 1, n)))
            first = max(n * n, (low + n - 1) // n * n)
            sieve[first - low :: n] = bytes(len(range(first, high, n)))
    return sum(sieve)


def slice_of(upto: int, index: int, count: int) -> tuple[int, int]:
    """The bounds of one of `count` slices of [0, upto]."""
    return (upto + 1) * index // count, (upto + 1) * (index + 1) // count


def count(upto: int, parts: Path | None) -> int:
    """Count in this task's slice, and leave the number in the parts' folder where there is one."""
    index, tasks = int(os.environ.get("BATCH_TASK_INDEX", "0")), int(os.environ.get("BATCH_TASK_COUNT", "1"))
    low, high = slice_of(upto, index, tasks)
    say(f"task {index} of {tasks} looks at {low} to {high - 1}")
    found = primes_between(low, high)
    if parts:
        parts.mkdir(parents=True, exist_ok=True)
        (parts / f"part-{index}.json").write_text(json.dumps({"low": low, "high": high, "primes": found}))
    say(f"{found} primes", primes=found, low=low, high=high)
    return 0


def gather(parts: Path, expect: int) -> int:
    """Add up the parts of all tasks."""
    try:
        found = [json.loads((parts / f"part-{n}.json").read_text())["primes"] for n in range(expect)]
    except (OSError, ValueError, KeyError) as error:
        say(f"not all of {expect} parts can be read: {error}", "ERROR")
        return 3
    say(f"{sum(found)} primes in {expect} parts", primes=sum(found), parts=expect)
    return 0


def positive(text: str) -> int:
    """A whole number above zero."""
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number above zero")
    return int(text)


def main(argv: list[str]) -> int:
    """Run one command; gives the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    counting = commands.add_parser("count", help="count primes in this task's slice")
    counting.add_argument("--upto", type=positive, default=100_000)
    counting.add_argument("--parts", type=Path)
    gathering = commands.add_parser("gather", help="add up what the tasks of an array left")
    gathering.add_argument("--parts", type=Path, required=True)
    gathering.add_argument("--expect", type=positive, required=True)
    given = parser.parse_args(argv or ["count"])
    for path in write_secret_files(os.environ):
        say(f"secret file {path} is there")
    return count(given.upto, given.parts) if given.command == "count" else gather(given.parts, given.expect)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
