"""A short night of chaos is green; each safeguard that is taken out makes it red, else chaos would prove nothing."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from benchmarks.chaos.night import House, Terms, fast, house
from benchmarks.chaos.plan import Act, Plan
from benchmarks.chaos.safeguards import SAFEGUARDS

from laptop.progress import Progress

RUN, EXECUTIONS = "google.cloud.run.v2.Jobs/", "google.cloud.run.v2.Executions/"
BATCH = "google.cloud.batch.v1.BatchService/"
LISTEN = "google.pubsub.v1.Subscriber/StreamingPull"
STARTS = (
    ("worker", f"{RUN}RunJob"),
    ("worker", f"{BATCH}CreateJob"),
    ("worker", f"{EXECUTIONS}ListExecutions"),
)
TOKENS = (("worker", f"{RUN}UpdateJob"),)
WAITS = (("worker", f"{EXECUTIONS}GetExecution"), ("worker", f"{BATCH}GetJob"))
FOLLOWS = (("triggerer", f"{EXECUTIONS}GetExecution"), ("triggerer", f"{BATCH}GetJob"))


def undisturbed(plan: Plan) -> bool:
    return plan.act is Act.NOTHING and not plan.exit


def by_run_job(plan: Plan) -> bool:
    """A token needs neither look nor list to start one run."""
    return plan.backend == "cloud_run" and not plan.act and not plan.token


NIGHTS = 4
CASES: dict[str, Terms] = {
    "": Terms(7, 18, 40, calls=(*STARTS, *TOKENS, *WAITS, *FOLLOWS),
              only=("*RunJob*", "*UpdateJob*kill", "*CreateJob*kill", "triggerer*before*", "worker*Get*answered*")),
    "look": Terms(1, 15, 8, calls=STARTS, only=("*RunJob after kill", "*RunJob answered kill"),
                  wanted=by_run_job),
    "sole": Terms(2, 20, 12, calls=STARTS, only=("*RunJob before ghost",),
                  wanted=by_run_job),
    "ended": Terms(3, 20, 10, calls=(*STARTS, *WAITS), only=("*kill",),
                   wanted=lambda plan: plan.act is Act.CLEAR),
    "trigger": Terms(4, 10, 10, calls=FOLLOWS, only=("*stall",),
                     wanted=lambda plan: plan.deferrable and undisturbed(plan)),
    "worker": Terms(5, 15, 10, calls=WAITS, only=("*answered evict",),
                    wanted=lambda plan: not plan.deferrable and undisturbed(plan)),
    "confirm": Terms(6, 0, 6, calls=FOLLOWS,
                     wanted=lambda plan: plan.backend == "batch" and plan.deferrable and plan.exit > 0),
}  # fmt: skip


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with house(tmp_path_factory.mktemp("chaos")) as built:
        yield built


@pytest.mark.timeout(240)
def test_whatever_dies_each_attempt_has_one_job_and_the_right_verdict(here: House) -> None:
    found = fast(here, CASES[""], Progress())
    assert found.tally.wrongs == []
    assert found.missing == []
    assert found.strikes >= len(found.points) > 0


@pytest.mark.timeout(240)
@pytest.mark.parametrize("safeguard", [name for name in CASES if name])
def test_a_safeguard_that_is_taken_out_is_missed(here: House, safeguard: str) -> None:
    terms = replace(CASES[safeguard], without=safeguard, all_points=False)
    nights = (fast(here, replace(terms, seed=terms.seed + 10 * n), Progress()) for n in range(NIGHTS))
    assert any(night.tally.red for night in nights)  # a busy machine gets few strikes into one of them


def test_each_safeguard_has_a_night() -> None:
    assert set(CASES) == {"", *SAFEGUARDS}
