"""How soon the cancel call comes: what our code told of itself (hazards_site), beside the cloud's own list of calls."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any


@dataclass(frozen=True, slots=True)
class Prompt:
    """Seconds from the first line of ours that ran to the cancel call's arrival; `known_s`: from when it knew.

    In between it asks Airflow who ended the task. A deadline is known beforehand: both count from it.
    """

    told_s: float
    known_s: float


def prompts(told: Path, cancels: Mapping[str, float], jobs: Sequence[str], since: float) -> Iterator[Prompt]:
    """Give how soon each of these jobs was cancelled that was.

    :param told: what the processes of Airflow told
    :param cancels: epoch seconds of each job's first cancel call
    :param since: epoch seconds before which nothing was a reason: a busy Airflow ends tries as it begins them
    """
    lines = [json.loads(line) for line in told.read_text().splitlines()] if told.exists() else []
    for job in jobs:
        until = cancels.get(job, 0.0)
        before = [each for each in lines if each["job"] == job and since <= each["at"] <= until]
        if not before:
            continue
        first = min(each["at"] for each in before)
        knew = min((each["at"] for each in before if each["kind"] == "knows"), default=first)
        yield Prompt(round(until - first, 2), round(until - knew, 2))


def spread(of: Sequence[float]) -> dict[str, Any]:
    """The middle and the longest."""
    return {"p50": round(median(of), 2), "longest": max(of)} if of else {}


def summary(found: Sequence[Prompt | None]) -> dict[str, Any]:
    """Both times of all."""
    there = [each for each in found if each]
    return {
        "told_s": spread([each.told_s for each in there]),
        "known_s": spread([each.known_s for each in there]),
    }
