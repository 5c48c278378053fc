"""Unknown params: named, with the nearest right one."""

from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from gcp_jobs.errors import UnknownParams
from gcp_jobs.params import check, refuse_unknown


def test_known_params_pass() -> None:
    check({"page_size": 7}, ["page_size", "dataset"], where="DAG d")


def test_each_unknown_param_is_named_with_the_nearest_right_one() -> None:
    with pytest.raises(UnknownParams) as caught:
        check({"page_sice": 7, "zzz": 1, "dataset": "d"}, ["page_size", "dataset"], where="DAG d")
    assert str(caught.value) == (
        "unknown params 'page_sice' (did you mean 'page_size'?), 'zzz' (DAG d). Allowed: dataset, page_size."
    )


@pytest.mark.parametrize(
    ("conf", "refused"), [(None, False), ({}, False), ({"a": 1}, False), ({"b": 1}, True)]
)
def test_the_task_that_runs_first_refuses_for_good(conf: Any, refused: bool) -> None:
    context = {
        "dag_run": SimpleNamespace(conf=conf),
        "dag": SimpleNamespace(dag_id="d", params={"a": 1}),
        "task": SimpleNamespace(params={}),
        "run_id": "r",
    }
    if refused:
        with pytest.raises(AirflowFailException, match="unknown param 'b'"):
            refuse_unknown(context)
    else:
        refuse_unknown(context)
