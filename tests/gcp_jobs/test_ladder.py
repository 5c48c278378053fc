"""The capacity ladder: each rung once, in the order of the contract, and never a size that the platform refuses."""

from typing import Any

import pytest

from gcp_jobs.ladder import Rung, applied, first, fitting, higher, larger, longer
from gcp_jobs.policy import Ladder
from gcp_jobs.spec import JobSpec


def spec(**values: Any) -> JobSpec:
    """A job."""
    base = {"name": "j", "project": "p", "region": "us-central1", "environment": "dev", "image": "i"}
    return JobSpec.model_validate(base | values)


def climb(own: Rung, ladder: Ladder) -> list[tuple[str, str, str, str | None]]:
    """All rungs above the first, in order."""
    return climb_from(own, own, ladder)


def climb_from(here: Rung, own: Rung, ladder: Ladder) -> list[tuple[str, str, str, str | None]]:
    """All rungs above one, in order."""
    found = []
    while (rung := higher(own, here, ladder, lambda _: False)) is not None:
        found.append(rung.place)
        here = rung
    return found


def test_spot_then_standard_then_machine_types_then_regions_then_the_other_backend() -> None:
    own = Rung.of(spec(provisioning="spot", machine_type="e2-standard-2"), "batch")
    ladder = Ladder(
        machine_types=("n2-standard-2", "e2-standard-2"), regions=("europe-west4",), other_backend=True
    )
    assert climb(own, ladder) == [
        ("batch", "us-central1", "standard", "e2-standard-2"),
        ("batch", "us-central1", "standard", "n2-standard-2"),
        ("batch", "europe-west4", "standard", "e2-standard-2"),
        ("batch", "europe-west4", "standard", "n2-standard-2"),
        ("cloud_run", "us-central1", "standard", None),
    ]


def test_a_job_that_grew_out_of_its_machine_climbs_on_from_where_it_is() -> None:
    """It runs on a larger machine than the ladder names, and must not begin at the bottom again."""
    own = Rung.of(spec(machine_type="e2-standard-2"), "batch")
    ladder = Ladder(machine_types=("c3-highcpu-4", "n2-standard-2"))
    grown = larger(own, ladder)
    assert grown is not None
    places = [rung[3] for rung in climb_from(grown, own, ladder)]
    assert places == ["c3-highcpu-8", "n2-standard-2"]


def test_cloud_run_has_regions_only() -> None:
    own = Rung.of(spec(), "cloud_run")
    ladder = Ladder(machine_types=("n2-standard-2",), regions=("europe-west4",))
    assert climb(own, ladder) == [("cloud_run", "europe-west4", "standard", None)]
    assert climb(own, Ladder()) == []


def test_a_blocked_rung_is_skipped_and_where_all_are_the_job_begins_at_its_own() -> None:
    own = Rung.of(spec(provisioning="spot", machine_type="e2-standard-2"), "batch")
    ladder = Ladder(machine_types=("n2-standard-2",))
    standard = first(own, ladder, lambda rung: rung.provisioning == "spot")
    assert standard.provisioning == "standard"
    skipped = higher(own, own, ladder, lambda rung: rung.machine_type == "e2-standard-2")
    assert skipped is not None
    assert skipped.machine_type == "n2-standard-2"
    assert first(own, ladder, lambda _: True) == own


@pytest.mark.parametrize(
    ("backend", "values", "ladder", "changes"),
    [
        ("cloud_run", {}, Ladder(), {"memory": "4Gi"}),
        ("cloud_run", {"memory": "4Gi"}, Ladder(), {"memory": "8Gi", "cpu": "2"}),
        ("cloud_run", {"memory": "512Mi", "cpu": "500m"}, Ladder(), {"memory": "1Gi"}),
        ("cloud_run", {"memory": "16Gi", "cpu": "4"}, Ladder(), {"memory": "32Gi", "cpu": "8"}),
        ("cloud_run", {}, Ladder(memory=("1Gi", "6Gi")), {"memory": "6Gi", "cpu": "2"}),
        ("batch", {"machine_type": "e2-standard-2"}, Ladder(), {"memory": "4Gi"}),
        ("batch", {"machine_type": "e2-standard-2", "memory": "6Gi"}, Ladder(),
         {"memory": "12Gi", "machine_type": "e2-standard-4"}),
        ("batch", {"memory": "6Gi"}, Ladder(), {"memory": "12Gi"}),
    ],
)  # fmt: skip
def test_more_memory_comes_with_the_cpus_or_the_machine_that_it_needs(
    backend: str, values: dict[str, Any], ladder: Ladder, changes: dict[str, Any]
) -> None:
    job = spec(**values)
    rung = larger(Rung.of(job, backend), ladder)
    assert rung is not None
    assert rung.changes(job) == changes
    assert Rung.of(applied(job, changes), backend) == rung


@pytest.mark.parametrize(
    ("backend", "values", "ladder"),
    [
        ("cloud_run", {"memory": "32Gi"}, Ladder(most_memory="128Gi")),
        ("cloud_run", {"memory": "2Gi"}, Ladder(most_memory="2Gi")),
        ("cloud_run", {"memory": "8Gi"}, Ladder(memory=("4Gi",))),
        ("batch", {"machine_type": "a2-highgpu-1g"}, Ladder()),
    ],
)
def test_where_no_larger_size_exists_or_is_known_there_is_none(
    backend: str, values: dict[str, Any], ladder: Ladder
) -> None:
    assert larger(Rung.of(spec(**values), backend), ladder) is None


def test_another_region_leaves_the_zones_behind() -> None:
    job = spec(zones=["us-central1-a"], provisioning="spot")
    rung = higher(
        Rung.of(job, "batch"),
        Rung.of(spec(), "batch"),
        Ladder(regions=("europe-west4",)),
        lambda _: False,
    )
    assert rung is not None
    assert rung.changes(job) == {"region": "europe-west4", "provisioning": "standard", "zones": []}
    assert applied(job, rung.changes(job)).zones == ()


def test_time_doubles_up_to_what_the_platforms_allow() -> None:
    rung = longer(Rung.of(spec(timeout="1h"), "batch"))
    assert rung is not None
    assert rung.timeout == 7200
    assert longer(Rung.of(spec(timeout="168h"), "batch")) is None


def test_a_job_that_needs_what_one_backend_has_stays_on_it() -> None:
    ladder = Ladder(other_backend=True)
    assert fitting(ladder, spec()).other_backend
    bound = spec(network={"connector": "c"})
    assert not fitting(ladder, bound).other_backend
