"""JobSpec <-> Cloud Run messages: what a template says is what runs, and what is deployed can be compared with it."""

import string

import pytest
from google.cloud import run_v2
from hypothesis import given, settings
from hypothesis import strategies as st

from gcp_jobs.backends.base import RUN_KEY, RunRequest
from gcp_jobs.backends.cloud_run_messages import differences, from_job, to_job, to_run_request
from gcp_jobs.errors import ConfigurationRefused
from gcp_jobs.model import JobRef, JobSpec
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
PORTS = st.none() | st.integers(1, 65535)
NETWORKS = st.one_of(
    st.none(),
    st.builds(Network, connector=NAMES, egress=st.sampled_from(["all-traffic", "private-ranges-only"])),
    st.builds(
        Network, network=NAMES, subnetwork=st.none() | NAMES, tags=st.lists(NAMES, max_size=2).map(tuple)
    ),
)


@st.composite
def specs(draw: st.DrawFn) -> JobSpec:
    names = draw(st.lists(NAMES.map(lambda n: f"v{n}"), max_size=3, unique=True))
    kinds = [
        {"gcs": "bucket", "read_only": draw(st.booleans()), "mount_options": ("implicit-dirs",)},
        {"nfs": "10.0.0.1:/share", "read_only": draw(st.booleans())},
        {"memory": draw(SIZES)},
    ]
    volumes = tuple(
        Volume.model_validate({"name": n, "path": draw(st.sampled_from([None, f"/mnt/{n}"])), **kind})
        for n, kind in zip(names, kinds, strict=False)
    )
    others = draw(st.lists(NAMES.map(lambda n: f"c{n}"), max_size=3, unique=True))
    split = draw(st.integers(0, len(others)))

    def container(n: int, name: str) -> Container:
        return Container(
            name=name, image=f"repo/{name}", command=("run",), args=draw(st.lists(WORDS, max_size=2).map(tuple)),
            env=draw(ENV), secrets=draw(SECRETS), cpu=draw(CPUS), memory=draw(SIZES),
            mounts={v.name: "/shared" for v in volumes[:1]}, depends_on=tuple(others[:n][-1:]),
            startup_port=draw(PORTS) if n >= split else None,
        )  # fmt: skip

    beside = [container(n, name) for n, name in enumerate(others)]
    return JobSpec(
        name=draw(NAMES), project="p-1", region="europe-west1", environment=draw(st.sampled_from(["local", "prod"])),
        labels={"team": draw(NAMES)}, image="repo/main:1", command=draw(st.lists(WORDS, max_size=2).map(tuple)),
        args=draw(st.lists(WORDS, max_size=2).map(tuple)), env=draw(ENV), secrets=draw(SECRETS),
        secret_files=draw(st.sampled_from([
            {}, {"/secrets/a/key.pem": "a:latest"},
            {"/s/one": "a:1", "/s/two": "a:2", "/t/key": "projects/p/secrets/b:3"},
        ])),
        cpu=draw(CPUS), memory=draw(SIZES), timeout=draw(st.integers(1, 604800)),
        task_count=draw(st.integers(1, 10_000)), parallelism=draw(st.integers(1, 10_000)),
        max_retries=draw(st.integers(0, 10)), service_account=draw(st.none() | NAMES), kms_key=draw(st.none() | NAMES),
        volumes=volumes, init_containers=tuple(beside[:split]), sidecars=tuple(beside[split:]),
        network=draw(NETWORKS),
    )  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(specs())
def test_a_spec_survives_the_way_through_the_api_message(spec: JobSpec) -> None:
    wire = run_v2.Job.serialize(to_job(spec))
    back = from_job(run_v2.Job.deserialize(wire), spec.environment)
    assert back == spec
    assert back.digest == spec.digest
    assert differences(spec, back) == []


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
    "field",
    [{"provisioning": "spot"}, {"machine_type": "e2-standard-2"}, {"zones": ["europe-west1-b"]},
     {"network": {"network": "n", "no_external_ip": True}}],
)  # fmt: skip
def test_what_only_batch_has_is_refused_by_name(field: dict[str, object]) -> None:
    with pytest.raises(ConfigurationRefused, match=f"Cloud Run has no {next(iter(field))}"):
        to_job(spec(**field))


def test_two_secrets_in_one_folder_are_refused_with_the_way_out() -> None:
    with pytest.raises(ConfigurationRefused, match="a folder of its own"):
        to_job(spec(secret_files={"/s/a": "one", "/s/b": "two"}))


def test_drift_names_each_field_that_differs_and_only_those() -> None:
    lines = differences(
        spec(memory="1Gi", env={"A": "1"}), spec(memory="512Mi", env={"A": "1"}, labels={"x": "y"})
    )
    assert lines == ["memory: wanted '1Gi', found '512Mi'"]


def test_a_default_that_google_fills_in_is_no_drift() -> None:
    assert differences(spec(), spec(service_account="1-compute@developer.gserviceaccount.com")) == []


def request(**changes: object) -> RunRequest:
    return RunRequest(JobRef("cloud_run", "p", "europe-west1", "j"), run_key="k1", **changes)  # type: ignore[arg-type]


def test_the_run_key_joins_the_stock_operators_overrides() -> None:
    stock = {
        "container_overrides": [{"name": "job", "args": ["--x"], "env": [{"name": "A", "value": "1"}]}],
        "task_count": 3,
        "timeout": {"seconds": 60},
    }
    built = to_run_request(request(overrides=stock, container="job", env={"A": "2", "B": "3"})).overrides
    (only,) = built.container_overrides
    assert (list(only.args), built.task_count, built.timeout.total_seconds()) == (["--x"], 3, 60)
    assert {e.name: e.value for e in only.env} == {"A": "2", "B": "3", RUN_KEY: "k1"}


def test_empty_args_clear_the_jobs_own() -> None:
    (only,) = to_run_request(request(args=())).overrides.container_overrides
    assert only.clear_args


def test_an_unknown_override_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigurationRefused, match=r"container_overrides .*task_count, timeout"):
        to_run_request(request(overrides={"task_counts": 3}))
