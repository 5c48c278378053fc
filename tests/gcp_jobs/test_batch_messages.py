"""JobSpec <-> Batch messages: what a template says is what runs, and nothing of it is lost on the way."""

import string

import pytest
from google.cloud import batch_v1
from hypothesis import given, settings
from hypothesis import strategies as st

from gcp_jobs.backends.batch_messages import from_job, notify, to_job
from gcp_jobs.errors import ConfigurationRefused
from gcp_jobs.model import JobSpec
from gcp_jobs.spec import Container, Network, Volume

NAMES = st.from_regex(r"[a-z]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)
WORDS = st.text(string.ascii_letters + string.digits + " _-./:=é–", max_size=20)
ENV = st.dictionaries(st.from_regex(r"[A-Z][A-Z_]{0,8}", fullmatch=True), WORDS, max_size=3)
SECRETS = st.dictionaries(
    st.from_regex(r"S_[A-Z]{1,8}", fullmatch=True),
    st.builds(lambda n, v: f"{n}:{v}", NAMES, st.sampled_from(["latest", "1", "42"])),
    max_size=2,
)
CPUS = st.sampled_from(["1", "2", "500m", "1500m"])
SIZES = st.sampled_from(["512Mi", "1Gi", "1536Mi", "2Gi"])
NETWORKS = st.none() | st.builds(
    Network,
    network=st.sampled_from(["default", "projects/host/global/networks/shared"]),
    subnetwork=st.none() | NAMES | st.just("projects/host/regions/europe-west1/subnetworks/s"),
    tags=st.lists(NAMES, max_size=2).map(tuple),
    egress=st.sampled_from(["all-traffic", "private-ranges-only"]),
    no_external_ip=st.booleans(),
)


@st.composite
def specs(draw: st.DrawFn) -> JobSpec:
    names = draw(st.lists(NAMES.map(lambda n: f"v{n}"), max_size=3, unique=True))
    kinds = draw(st.permutations([
        {"gcs": "bucket/folder", "read_only": draw(st.booleans()), "mount_options": ("--implicit-dirs",)},
        {"nfs": "10.0.0.1:/share", "read_only": draw(st.booleans())},
        {"memory": draw(SIZES)},
    ]))  # fmt: skip
    volumes = tuple(
        Volume.model_validate({"name": n, "path": draw(st.sampled_from([None, f"/mnt/{n}"])), **kind})
        for n, kind in zip(names, kinds, strict=False)
    )
    others = draw(st.lists(NAMES.map(lambda n: f"c{n}"), max_size=3, unique=True))
    split = draw(st.integers(0, len(others)))

    def container(n: int, name: str) -> Container:
        return Container(
            name=name, image=f"repo/{name}", command=draw(st.lists(WORDS, max_size=3).map(tuple)),
            args=draw(st.lists(WORDS, max_size=2).map(tuple)), env=draw(ENV), secrets=draw(SECRETS), cpu=draw(CPUS),
            memory=draw(SIZES), mounts={v.name: "/shared" for v in volumes[:1]}, depends_on=tuple(others[:n][-1:]),
        )  # fmt: skip

    beside = [container(n, name) for n, name in enumerate(others)]
    return JobSpec(
        name=draw(NAMES), project="p-1", region="europe-west1", environment=draw(st.sampled_from(["local", "prod"])),
        labels={"team": draw(NAMES)}, image="repo/main:1", command=draw(st.lists(WORDS, max_size=3).map(tuple)),
        args=draw(st.lists(WORDS, max_size=2).map(tuple)), env=draw(ENV), secrets=draw(SECRETS),
        secret_files=draw(st.sampled_from([
            {}, {"/secrets/a/key.pem": "a:latest"}, {"/s/one": "a:1", "/s/two": "projects/q/secrets/b:3"},
        ])),
        cpu=draw(CPUS), memory=draw(SIZES), timeout=draw(st.integers(1, 604800)),
        task_count=draw(st.integers(1, 100_000)), parallelism=draw(st.integers(1, 5_000)),
        max_retries=draw(st.integers(0, 10)), service_account=draw(st.none() | NAMES), volumes=volumes,
        init_containers=tuple(beside[:split]), sidecars=tuple(beside[split:]), network=draw(NETWORKS),
        provisioning=draw(st.sampled_from(["spot", "standard"])),
        machine_type=draw(st.none() | st.just("e2-standard-2")),
        zones=draw(st.sampled_from([(), ("europe-west1-b",), ("europe-west1-b", "europe-west1-c")])),
    )  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(specs())
def test_a_spec_survives_the_way_through_the_api_message(spec: JobSpec) -> None:
    wire = batch_v1.Job.serialize(to_job(spec))
    back = from_job(batch_v1.Job.deserialize(wire), spec.environment)
    assert back == spec
    assert back.digest == spec.digest


def spec(**changes: object) -> JobSpec:
    base = {
        "name": "report",
        "project": "p-1",
        "region": "europe-west1",
        "environment": "local",
        "image": "i",
    }
    return JobSpec.model_validate(base | changes)


@pytest.mark.parametrize(
    ("field", "named"),
    [({"kms_key": "k"}, "kms_key"), ({"network": {"connector": "c"}}, "network.connector"),
     ({"parallelism": 6000}, "parallelism=6000"), ({"memory": "1500Ki"}, "memory=1500Ki"),
     ({"sidecars": [{"name": "s", "image": "i", "startup_port": 80}]}, "startup_port of a sidecar")],
)  # fmt: skip
def test_what_batch_does_not_have_is_refused_by_name(field: dict[str, object], named: str) -> None:
    with pytest.raises(ConfigurationRefused, match=named):
        to_job(spec(**field))


def test_a_task_is_given_what_all_its_containers_need_at_once() -> None:
    job = to_job(
        spec(
            cpu="1",
            memory="1Gi",
            sidecars=[{"name": "proxy", "image": "p", "cpu": "500m", "memory": "512Mi"}],
            init_containers=[{"name": "unpack", "image": "u", "cpu": "4", "memory": "1Gi"}],
        )
    )
    resource = job.task_groups[0].task_spec.compute_resource
    assert (resource.cpu_milli, resource.memory_mib) == (4000, 1536)
    names = [(r.display_name, r.background) for r in job.task_groups[0].task_spec.runnables]
    assert names == [("unpack", False), ("proxy", True), ("main", False)]


def test_the_topic_is_told_once_of_every_state() -> None:
    job = to_job(spec())
    notify(job, "projects/p/topics/t")
    notify(job, "projects/p/topics/t")
    (only,) = job.notifications
    assert (only.pubsub_topic, only.message.type_.name) == ("projects/p/topics/t", "JOB_STATE_CHANGED")
    assert not only.message.new_job_state
