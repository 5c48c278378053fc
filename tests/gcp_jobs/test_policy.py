"""What a template says about failures: the contract's defaults, and a wrong word is refused with the right one."""

import pytest

from gcp_jobs.errors import TemplateError
from gcp_jobs.failure import FailureClass
from gcp_jobs.policy import CLASSES, Policy
from gcp_jobs.settings import settings
from gcp_jobs.template import JobTemplate, inline

SPEC = {"name": "j", "project": "p", "region": "europe-west1", "image": "i"}


def template(**beside: object) -> JobTemplate:
    """A job with something beside its spec."""
    return inline(SPEC | beside, settings())


def test_without_a_word_the_budgets_are_the_contracts() -> None:
    policy = template().policy
    budgets = {kind: rule.budget for kind in FailureClass if (rule := policy.of(kind))}
    assert budgets == {
        "preempted": 3, "host_lost": 2, "out_of_memory": 2, "timed_out": 0, "stock_out": 20, "quota": 5,
        "network": 3, "dependency_down": 3,
    }  # fmt: skip
    assert {str(kind) for kind in FailureClass if policy.of(kind)} == CLASSES
    assert policy == Policy()


def test_a_template_sets_its_own_policy_and_the_spec_stays_the_same() -> None:
    mine = template(
        policy={"timed_out": {"budget": 1}, "ladder": {"regions": ["europe-west4"], "memory": ["4096Mi"]}}
    )
    assert mine.policy.timed_out.budget == 1
    assert mine.policy.ladder.memory == ("4Gi",)
    assert mine.spec.digest == template().spec.digest


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        ({"preemted": {}}, "base.policy.preemted: unknown key; did you mean 'preempted'?"),
        ({"application": {"budget": 3}}, "base.policy.application: unknown key"),
        ({"network": {"bugdet": 3}}, "base.policy.network.bugdet: unknown key; did you mean 'budget'?"),
        ({"ladder": {"region": []}}, "base.policy.ladder.region: unknown key; did you mean 'regions'?"),
        ({"breaker": {"failure": 1}}, "base.policy.breaker.failure: unknown key; did you mean 'failures'?"),
        ({"network": {"budget": -1}}, "base.policy.network.budget: Input should be greater than or equal to 0"),
        ({"network": {"first_delay": "2h"}}, "longest_delay (300 s) is under first_delay (7200 s)"),
        ({"ladder": {"memory": ["4GB"]}}, "memory is written like 512Mi or 2Gi"),
        ({"array": "some"}, "base.policy.array: Input should be 'all' or 'failed'"),
    ],
)  # fmt: skip
def test_a_wrong_policy_is_refused_with_place_and_fix(policy: dict[str, object], said: str) -> None:
    with pytest.raises(TemplateError) as error:
        template(policy=policy)
    assert said in str(error.value)


def test_an_exit_code_names_the_dependency_that_is_down() -> None:
    code = template(
        exit_codes={4: {"means": "m", "class": "dependency_down", "dependency": "dog api"}}
    ).exit_codes[4]
    assert (code.kind, code.dependency, code.retry) == (FailureClass.DEPENDENCY_DOWN, "dog api", True)
    plain = template(exit_codes={1: {"means": "m"}, 2: {"means": "m", "retry": False}}).exit_codes
    assert [code.kind for code in plain.values()] == [FailureClass.APPLICATION, FailureClass.CONFIGURATION]


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ({"means": "m", "dependency": "x"}, "class dependency_down and a `dependency` by name belong together"),
        ({"means": "m", "class": "dependency_down"}, "class dependency_down and a `dependency` by name"),
        ({"means": "m", "klass": "network"}, "unknown key; did you mean 'class'?"),
        ({"means": "m", "class": "oom"}, "base.exit_codes.3.class"),
    ],
)  # fmt: skip
def test_a_wrong_exit_code_is_refused_with_place_and_fix(code: dict[str, object], said: str) -> None:
    with pytest.raises(TemplateError) as error:
        template(exit_codes={3: code})
    assert said in str(error.value)
