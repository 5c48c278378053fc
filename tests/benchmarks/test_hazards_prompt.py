"""How soon a cancel call came is counted from the first that our code heard of it, and from when it knew."""

import json
from pathlib import Path

from benchmarks.hazards_prompt import Prompt, prompts, summary

LINES = [
    ("told", "jobs/a", 2.0),  # an earlier try was given up while it all began
    ("told", "jobs/a", 10.0),
    ("told", "jobs/a", 12.0),
    ("knows", "jobs/a", 13.5),
    ("knows", "jobs/a", 15.0),  # another process came later
    ("told", "jobs/limit", 20.0),
    ("told", "jobs/later", 31.0),  # after it had been cancelled by somebody else
    ("told", "jobs/left", 40.0),
]


def test_only_what_was_heard_before_the_call_counts(tmp_path: Path) -> None:
    told = tmp_path / "told.jsonl"
    told.write_text("".join(json.dumps({"kind": k, "job": job, "at": at}) + "\n" for k, job, at in LINES))
    cancels = {"jobs/a": 14.0, "jobs/limit": 20.25, "jobs/later": 30.0}
    found = list(prompts(told, cancels, ["jobs/a", "jobs/limit", "jobs/later", "jobs/left"], 5.0))
    assert found == [Prompt(4.0, 0.5), Prompt(0.25, 0.25)]
    assert summary([*found, None]) == {
        "told_s": {"p50": 2.12, "longest": 4.0},
        "known_s": {"p50": 0.38, "longest": 0.5},
    }


def test_where_nothing_was_told_nothing_is_said(tmp_path: Path) -> None:
    assert list(prompts(tmp_path / "none", {"jobs/a": 1.0}, ["jobs/a"], 0.0)) == []
    assert summary([None]) == {"told_s": {}, "known_s": {}}
