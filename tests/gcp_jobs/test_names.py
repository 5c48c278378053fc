"""Whatever people call things, a job's id is valid, and says the same for the same run."""

import re

from hypothesis import given
from hypothesis import strategies as st

from gcp_jobs.names import job_id, label_value
from gcp_jobs.once import Attempt

BATCH_ID = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
KEYS = st.builds(
    lambda dag, run, task, index, clears, generation: Attempt(dag, run, task, index, clears).run_key(generation),
    st.text(max_size=250), st.text(max_size=250), st.text(max_size=250), st.integers(-1, 1000), st.integers(0, 9),
    st.integers(0, 9),
)  # fmt: skip


@given(st.text(), KEYS)
def test_every_prefix_gives_a_valid_id_and_the_same_run_the_same(prefix: str, key: str) -> None:
    made = job_id(prefix, key)
    assert BATCH_ID.fullmatch(made), made
    assert made == job_id(prefix, key)


@given(st.text(max_size=30), KEYS, KEYS)
def test_other_runs_have_other_ids(prefix: str, one: str, other: str) -> None:
    assert (job_id(prefix, one) == job_id(prefix, other)) == (one == other)


def test_a_prefix_stays_readable() -> None:
    key = "0123456789abcdef0123456789abcdef"
    assert job_id("java-batch-job-", key) == "java-batch-job-0123456789abcdef0123"
    assert job_id("Größter Bericht / März", key) == "groter-bericht-marz-0123456789abcdef0123"
    assert job_id("日本", key) == "job-0123456789abcdef0123"
    assert job_id("7 days", key) == "job-7-days-0123456789abcdef0123"


@given(st.text())
def test_every_text_gives_a_valid_label(text: str) -> None:
    assert re.fullmatch(r"[a-z0-9_-]{0,63}", label_value(text), re.ASCII)


def test_long_labels_that_begin_alike_differ() -> None:
    assert label_value("a" * 80 + "1") != label_value("a" * 80 + "2")
