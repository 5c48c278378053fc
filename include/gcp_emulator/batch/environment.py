"""The environment of a task's runnables: variables of every level, secrets, and those that Batch sets.

https://cloud.google.com/batch/docs/create-run-job-environment-variables. BATCH_JOB_ID, BATCH_JOB_UID, BATCH_NODE_LIST
and the like are on Batch's machines too, though its documents name only the first four.
"""

from collections.abc import Mapping
from typing import Any

from gcp_emulator.batch.names import GROUP
from gcp_emulator.run.names import project, region, short
from gcp_emulator.run.secrets import SecretValues


def task_environment(job: Any, index: int, values: SecretValues) -> dict[str, str]:
    """What all runnables of one task share; SecretsDenied when a secret cannot be read."""
    group = job.task_groups[0]
    env = dict(group.task_spec.environments)
    env |= resolved(group.task_spec.environment, values)
    if group.task_environments:
        env |= resolved(group.task_environments[index], values)
    return env


def resolved(environment: Any, values: SecretValues) -> dict[str, str]:
    """Variables and secret variables of one level."""
    secrets = {name: values.text(version) for name, version in environment.secret_variables.items()}
    return {**environment.variables, **secrets}


def batch_variables(job: Any, index: int, attempt: int, node_list: str) -> Mapping[str, str]:
    """What Batch itself sets."""
    return {
        "BATCH_TASK_INDEX": str(index),
        "BATCH_TASK_COUNT": str(job.task_groups[0].task_count),
        "BATCH_TASK_RETRY_ATTEMPT": str(attempt),
        "BATCH_JOB_ID": short(job.name),
        "BATCH_JOB_UID": job.uid,
        "BATCH_TASK_GROUP_ID": GROUP,
        "BATCH_PROJECT_ID": project(job.name),
        "BATCH_LOCATION": region(job.name),
        "BATCH_NODE_LIST": node_list,
    }
