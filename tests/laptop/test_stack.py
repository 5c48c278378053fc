"""What is told of a Compose stack that did not come up."""

from laptop.stack import blamed

UP = """ Container gcp-jobs-test-26291-init-1  Waiting
 Container gcp-jobs-test-26291-breeds-api-1  Error
 Container gcp-jobs-test-26291-breeds-api-1  Error
 Container gcp-jobs-test-26291-init-1  Exited
dependency failed to start: container gcp-jobs-test-26291-breeds-api-1 is unhealthy"""


def test_the_service_in_error_is_heard_and_no_other() -> None:
    api = [f"breeds-api-1  | breeds_api: line {number}" for number in range(30)]
    cleared = [f"\x1b[2K{line}" for line in ("init-1  | ready", *api[:-1])]
    logs = "\n".join([*cleared, api[-1], "breeds-api-10  | another"])
    assert blamed(UP, logs).splitlines() == api[-20:]


def test_a_failure_that_names_no_service_blames_none() -> None:
    assert blamed("docker compose build ended with exit code 1", "init-1  | ready") == ""
