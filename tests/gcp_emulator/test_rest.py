"""REST as any HTTP client sees it: paths, queries, bodies, errors, and the emulator's own pages."""

import pytest

ROUTES = "/v2/projects/p/locations/l/jobs"


@pytest.fixture
def http(cloud):
    with cloud.http() as client:
        yield client


def job_body(cloud):
    image = "x/worker"
    return {"template": {"template": {"maxRetries": 0, "timeout": "30s", "containers": [{"image": image}]}}}


def test_json_has_googles_shape(cloud, http):
    made = http.post(f"/v2/{cloud.parent}/jobs?jobId=plain", json=job_body(cloud)).json()
    assert made["done"] is True
    assert made["response"]["@type"] == "type.googleapis.com/google.cloud.run.v2.Job"
    job = http.get(f"/v2/{cloud.parent}/jobs/plain").json()
    assert job["terminalCondition"]["state"] == "CONDITION_SUCCEEDED"
    assert job["template"]["template"]["timeout"] == "30s"
    assert job["generation"] == "1"
    numbers = http.get(f"/v2/{cloud.parent}/jobs/plain", params={"$alt": "json;enum-encoding=int"}).json()
    assert numbers["terminalCondition"]["state"] == 4


def test_queries_fill_fields_by_either_name(cloud, http):
    for number in range(3):
        cloud.create_job(f"j{number}")
    for name in ("pageSize", "page_size"):
        page = http.get(f"/v2/{cloud.parent}/jobs", params={name: 2, "showDeleted": "False"}).json()
        assert len(page["jobs"]) == 2
        rest = http.get(
            f"/v2/{cloud.parent}/jobs", params={name: 2, "pageToken": page["nextPageToken"]}
        ).json()
        assert [cloud.short(job["name"]) for job in rest["jobs"]] == ["j0"]


def test_a_run_over_rest_can_be_waited_for(cloud, http):
    job = cloud.create_job("waited", "say=hi")
    operation = http.post(f"/v2/{job.name}:run", json={"overrides": {"taskCount": 2}}).json()
    assert operation["metadata"]["taskCount"] == 2
    done = http.post(f"/v2/{operation['name']}:wait", json={"timeout": "30s"}).json()
    assert done["response"]["succeededCount"] == 2


@pytest.mark.parametrize(
    ("verb", "path", "content", "code", "status", "words"),
    [
        ("GET", f"{ROUTES}/none", None, 404, "NOT_FOUND", "of kind 'JOB'"),
        ("GET", "/v2/nothing/here", None, 404, "NOT_FOUND", "was not found on this server"),
        ("PUT", f"{ROUTES}/none", b"{}", 404, "NOT_FOUND", "was not found on this server"),
        ("POST", f"{ROUTES}?jobId=x", b"{broken", 400, "INVALID_ARGUMENT", "Invalid JSON payload"),
        ("POST", f"{ROUTES}?jobId=x", b'{"unheard": 1}', 400, "INVALID_ARGUMENT", "unheard"),
        ("POST", f"{ROUTES}?jobId=x", b"[]", 400, "INVALID_ARGUMENT", "Invalid JSON payload"),
        ("POST", f"{ROUTES}?jobId=x", b"\xff", 400, "INVALID_ARGUMENT", "Invalid JSON payload"),
        ("GET", f"{ROUTES}?unheard=1", None, 400, "INVALID_ARGUMENT", "unheard"),
        ("GET", f"{ROUTES}?pageSize=many", None, 400, "INVALID_ARGUMENT", "many"),
        ("GET", f"{ROUTES}?pageSize=-1", None, 400, "INVALID_ARGUMENT", "page_size"),
        ("GET", f"{ROUTES}?showDeleted=perhaps", None, 400, "INVALID_ARGUMENT", "perhaps"),
        ("GET", "/emulator/calls?recent=x", None, 400, "INVALID_ARGUMENT", "recent"),
    ],
)
def test_errors_are_googles_json(http, verb, path, content, code, status, words):
    answer = http.request(verb, path, content=content)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["status"]) == (code, code, status)
    assert words in error["message"]


def test_an_escaped_slash_belongs_to_the_name(cloud, http):
    parent = f"projects/{cloud.project}"
    body = {
        "logName": f"{parent}/logs/a%2Fb",
        "resource": {"type": "global"},
        "entries": [{"textPayload": "x"}],
    }
    assert http.post("/v2/entries:write", json=body).status_code == 200
    found = http.post("/v2/entries:list", json={"resourceNames": [parent], "filter": 'log_id("a/b")'}).json()
    assert len(found["entries"]) == 1
    assert http.delete(f"/v2/{parent}/logs/a%252Fb").status_code == 200


def test_calls_are_counted_by_method_and_caller(cloud, http):
    """Benchmarks and rights tests read only this."""
    caller = f"{cloud.project}@test.iam.gserviceaccount.com"
    jobs = cloud.jobs(identity=caller)
    for _ in range(3):
        list(jobs.list_jobs(parent=cloud.parent))
    http.get(f"/v2/{cloud.parent}/jobs", headers={"Authorization": f"Bearer {caller}"})
    http.get(f"/v2/{cloud.parent}/jobs/none", headers={"Authorization": f"Bearer {caller}"})
    answer = http.get("/emulator/calls", params={"recent": 2}).json()
    counts = {call["method"]: call["count"] for call in answer["calls"] if call["caller"] == caller}
    assert counts == {"google.cloud.run.v2.Jobs/ListJobs": 4, "google.cloud.run.v2.Jobs/GetJob": 1}
    assert [(c["method"].rpartition("/")[2], c["transport"]) for c in answer["recent"]] == [
        ("ListJobs", "rest"),
        ("GetJob", "rest"),
    ]
    assert answer["total"] == sum(call["count"] for call in answer["calls"])


def test_a_refused_call_counts_too(cloud, http):
    http.get(f"/v2/{cloud.parent}/jobs/none", headers={"Authorization": "Basic abc"})
    (last,) = http.get("/emulator/calls?recent=1").json()["recent"]
    assert (last["method"], last["caller"]) == ("google.cloud.run.v2.Jobs/GetJob", "anonymous")


def test_health_says_where_it_is(cloud, http):
    health = http.get("/emulator/health").json()
    assert (health["status"], health["grpc"], health["rest"]) == (
        "ok",
        cloud.ready["grpc"],
        cloud.ready["rest"],
    )
