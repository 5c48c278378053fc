"""An execution as Cloud Run's v1 API shows it, which follows Knative; Google's audit entries hold this form.

https://cloud.google.com/run/docs/reference/rest/v1/namespaces.executions
"""

from collections.abc import Iterator
from typing import Any

from gcp_emulator.run.conditions import State
from gcp_emulator.run.names import region, short

TYPE = "type.googleapis.com/google.cloud.run.v1.Execution"
STATUS = {State.SUCCEEDED: "True", State.FAILED: "False"}
COUNTS = {
    "runningCount": "running_count",
    "succeededCount": "succeeded_count",
    "failedCount": "failed_count",
    "cancelledCount": "cancelled_count",
    "retriedCount": "retried_count",
}
TIMES = {"startTime": "start_time", "completionTime": "completion_time"}


def execution_json(execution: Any, job: Any, project_number: str) -> dict[str, Any]:
    """The JSON object; `job` adds its uid and generation, unless it is None."""
    return {
        "@type": TYPE,
        "apiVersion": "run.googleapis.com/v1",
        "kind": "Execution",
        "metadata": _metadata(execution, job, project_number),
        "spec": {
            "parallelism": execution.parallelism,
            "taskCount": execution.task_count,
            "template": {"spec": _task_spec(execution.template)},
        },
        "status": _status(execution),
    }


def _metadata(execution: Any, job: Any, namespace: str) -> dict[str, Any]:
    name = short(execution.name)
    labels = {
        **execution.labels,
        "cloud.googleapis.com/location": region(execution.name),
        "run.googleapis.com/job": execution.job,
    }
    owner = {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Job",
        "name": execution.job,
        "controller": True,
        "blockOwnerDeletion": True,
    }
    if job is not None:
        labels["run.googleapis.com/jobUid"] = owner["uid"] = job.uid
        labels["run.googleapis.com/jobGeneration"] = str(job.generation)
    return {
        "name": name,
        "namespace": namespace,
        "selfLink": f"/apis/run.googleapis.com/v1/namespaces/{namespace}/executions/{name}",
        "uid": execution.uid,
        "generation": execution.generation,
        "creationTimestamp": execution.create_time.ToJsonString(),
        "labels": labels,
        "annotations": {**execution.annotations, "run.googleapis.com/creator": execution.creator},
        "ownerReferences": [owner],
    }


def _task_spec(template: Any) -> dict[str, Any]:
    return {
        "containers": [_container(container) for container in template.containers],
        "maxRetries": template.max_retries,
        "timeoutSeconds": str(template.timeout.seconds),
        "serviceAccountName": template.service_account,
    }


def _container(container: Any) -> dict[str, Any]:
    shown = {
        "name": container.name,
        "image": container.image,
        "command": list(container.command),
        "args": list(container.args),
        "workingDir": container.working_dir,
        "env": list(_variables(container)),
        "resources": {"limits": dict(container.resources.limits)},
    }
    return {name: value for name, value in shown.items() if value}


def _variables(container: Any) -> Iterator[dict[str, Any]]:
    for variable in container.env:
        if variable.HasField("value_source"):
            secret = variable.value_source.secret_key_ref
            yield {
                "name": variable.name,
                "valueFrom": {"secretKeyRef": {"name": short(secret.secret), "key": secret.version}},
            }
        else:
            yield {"name": variable.name, "value": variable.value}


def _status(execution: Any) -> dict[str, Any]:
    counts = {name: getattr(execution, field) for name, field in COUNTS.items()}
    times = {
        name: getattr(execution, field).ToJsonString()
        for name, field in TIMES.items()
        if execution.HasField(field)
    }
    return {
        "observedGeneration": execution.observed_generation,
        "conditions": [_condition(condition) for condition in execution.conditions],
        **{name: count for name, count in counts.items() if count},
        **times,
        "logUri": execution.log_uri,
    }


def _condition(condition: Any) -> dict[str, str]:
    shown = {
        "type": condition.type_,
        "status": STATUS.get(condition.state, "Unknown"),
        "reason": _reason(condition),
        "message": condition.message,
        "lastTransitionTime": condition.last_transition_time.ToJsonString(),
    }
    return {name: text for name, text in shown.items() if text}


def _reason(condition: Any) -> str:
    """`NON_ZERO_EXIT_CODE` -> `NonZeroExitCode`: v1 has reasons as words, v2 as numbers."""
    field = condition.WhichOneof("reasons")
    if field is None:
        return ""
    enum = condition.DESCRIPTOR.fields_by_name[field].enum_type
    name: str = enum.values_by_number[getattr(condition, field)].name
    return "".join(part.capitalize() for part in name.split("_"))
