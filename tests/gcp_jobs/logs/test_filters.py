"""What is asked of Cloud Logging: the runs' own entries, as many runs as one request takes."""

from gcp_jobs.logs import filters
from gcp_jobs.model import JobRef

HOUR = 3_600 * 10**9
NOW = 500_000 * HOUR


def test_the_filter_of_one_execution_asks_for_that_alone() -> None:
    said = filters.of_run(JobRef("cloud_run", "p", "europe-west1", "j", "j-1"), NOW)
    for part in ('job_name="j"', 'execution_name"="j-1"', 'location="europe-west1"', 'timestamp>="2027'):
        assert part in said


def test_one_filter_asks_for_hundreds_of_runs_within_googles_limit() -> None:
    names = [f"some-longish-job-name-{n:04}-0123456789abcdef0123456789abcdef" for n in range(1000)]
    fit = filters.fitting(names)
    assert len(fit) > 200
    now = dict.fromkeys(fit, NOW)
    assert len(filters.of_runs("p" * 30, True, now, NOW)) <= 20_000
    assert len(filters.of_runs("p" * 30, False, now, NOW)) <= 20_000
    ages = {name: NOW - 10 ** (n % 15) * 10**4 for n, name in enumerate(fit)}
    assert len(filters.of_runs("p" * 30, False, ages, NOW)) <= 20_000


def test_a_silent_run_does_not_make_a_chatty_ones_log_be_read_from_the_beginning() -> None:
    said = filters.of_runs("p", True, {"old": 0, "silent": NOW - 5 * HOUR, "chatty": NOW - 10**9}, NOW)
    assert '(labels.job_uid="chatty" AND timestamp>=' in said
    assert '(labels.job_uid="silent" AND timestamp>=' in said
    assert 'labels.job_uid="old" OR' in said
