"""https://cloud.google.com/bigquery/docs/reference/rest/v2/jobs."""

from typing import Any

from gcp_emulator.bigquery import answers, errors
from gcp_emulator.bigquery.catalog import Resource
from gcp_emulator.bigquery.jobs import Job
from gcp_emulator.bigquery.methods.call import Call
from gcp_emulator.bigquery.service import BigQuery

AT_ONCE_S = 0.2  # a job that ends this soon is told as done by its insertion
RESULTS_S = 10.0  # how long a query's results are waited for where the caller does not say
PAGE = 50
# of a query request, what belongs to the job's configuration
OF_QUERY = (
    "query", "queryParameters", "parameterMode", "defaultDataset", "connectionProperties", "createSession",
    "useLegacySql", "useQueryCache", "maximumBytesBilled", "destinationEncryptionConfiguration",
)  # fmt: skip


def insert(service: BigQuery, call: Call) -> Resource:
    job = service.insert(call.project, call.body, call.caller)
    return after(job)


def after(job: Job) -> Resource:
    """The answer to an insertion."""
    wait(job, AT_ONCE_S)
    return job.resource()


def wait(job: Job, seconds: float) -> bool:
    """Whether it is done by then."""
    if job.state != "DONE":
        job.finished.wait(seconds)
    return job.state == "DONE"


def get(service: BigQuery, call: Call) -> Resource:
    return _find(service, call).resource()


def _find(service: BigQuery, call: Call) -> Job:
    return service.jobs.find(call.project, call.path["jobId"], call.query.get("location", ""))


def list_(service: BigQuery, call: Call) -> Resource:
    states = {state.upper() for state in call.query.get("stateFilter", "").split(",") if state}
    parent = call.query.get("parentJobId", "")
    first, last = call.number("minCreationTime", 0), call.number("maxCreationTime", 1 << 62)
    found = [
        job
        for job in service.jobs.of(call.project)
        if job.parent == parent
        and (not states or job.state in states)
        and first <= int(job.created) <= last
        and (call.flag("allUsers") or job.caller == call.caller)
    ]
    page, more = call.page(found, PAGE)
    return {"kind": "bigquery#jobList", "etag": "", "jobs": [_listed(job) for job in page], **more}


def _listed(job: Job) -> Resource:
    whole = job.resource()
    error = whole["status"].get("errorResult")
    return {
        **{
            key: whole[key]
            for key in ("id", "jobReference", "configuration", "status", "statistics", "user_email")
        },
        "kind": "bigquery#job",
        "state": job.state,
        **({"errorResult": error} if error else {}),
    }


def cancel(service: BigQuery, call: Call) -> Resource:
    job = _find(service, call)
    service.jobs.cancel(job)
    wait(job, AT_ONCE_S)
    return {"kind": "bigquery#jobCancelResponse", "job": job.resource()}


def delete(service: BigQuery, call: Call) -> None:
    service.jobs.delete(_find(service, call))


def query(service: BigQuery, call: Call) -> Resource:
    """A query and, if it ends in time, its first page in one."""
    body = call.body
    config = {key: body[key] for key in OF_QUERY if key in body}
    configuration: dict[str, Any] = {"query": config, "dryRun": bool(body.get("dryRun"))}
    if "labels" in body:
        configuration["labels"] = body["labels"]
    if not configuration["dryRun"]:
        del configuration["dryRun"]
    reference = {"location": body["location"]} if body.get("location") else {}
    inserted = {"configuration": configuration, "jobReference": reference}
    job = _once(service, call, inserted)
    if body.get("dryRun"):
        told = job.statistics.get("query", {})
        answer = {
            "kind": "bigquery#queryResponse",
            "jobComplete": True,
            "totalBytesProcessed": "0",
            "cacheHit": False,
        }
        answer |= {"jobReference": {"projectId": job.project, "location": job.location}}
        return {**answer, **({"schema": told["schema"]} if "schema" in told else {})}
    options = body.get("formatOptions") or {}
    asked = {
        "maxResults": body.get("maxResults"),
        "formatOptions.useInt64Timestamp": str(options.get("useInt64Timestamp", "")),
    }
    timeout = body.get("timeoutMs")
    paged = Call(call.caller, call.path, {key: value for key, value in asked.items() if value is not None})
    seconds = RESULTS_S if timeout is None else int(timeout) / 1000
    return {**_answer(service, job, paged, seconds), "kind": "bigquery#queryResponse"}


def _once(service: BigQuery, call: Call, body: dict[str, Any]) -> Job:
    """A request that is sent again, because its answer was lost, is the job that the first one started."""
    request = call.body.get("requestId") or ""
    known = service.jobs.asked(call.project, request)
    if known is not None:
        return known
    return service.insert(call.project, body, call.caller, request=request)


def results(service: BigQuery, call: Call) -> Resource:
    job = _find(service, call)
    if job.kind != "query":
        raise errors.invalid(f"Job {job.project}:{job.id} is not a query job.")
    return _answer(service, job, call, call.number("timeoutMs", int(RESULTS_S * 1000)) / 1000)


def _answer(service: BigQuery, job: Job, call: Call, seconds: float) -> Resource:
    if not wait(job, seconds):
        return {
            "kind": "bigquery#getQueryResultsResponse",
            "jobReference": job.reference,
            "jobComplete": False,
            "location": job.location,
        }
    with service.catalog() as catalog:
        return answers.of_job(catalog.cursor, job, call)
