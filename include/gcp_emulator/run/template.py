"""A job's template: the defaults that Cloud Run fills in, and what a run may override."""

from typing import Any

from gcp_emulator.errors import InvalidArgument
from gcp_emulator.run.validation import check_counts, check_env, check_timeout

DEFAULT_TIMEOUT_S = 600
DEFAULT_RETRIES = 3
DEFAULT_LIMITS = {"cpu": "1000m", "memory": "512Mi"}
GENERATION_2 = 2  # ExecutionEnvironment.EXECUTION_ENVIRONMENT_GEN2
TOKENS = ("start_execution_token", "run_execution_token")
USER_FIELDS = (
    "labels", "annotations", "client", "client_version", "launch_stage", "binary_authorization", "template", *TOKENS,
)  # fmt: skip


def fill_defaults(template: Any) -> None:
    """Complete an ExecutionTemplate in place, as a created job shows it."""
    template.task_count = template.task_count or 1
    task = template.template
    if not task.HasField("max_retries"):
        task.max_retries = DEFAULT_RETRIES
    if not task.HasField("timeout"):
        task.timeout.seconds = DEFAULT_TIMEOUT_S
    if not task.execution_environment:
        task.execution_environment = GENERATION_2
    for container in task.containers:
        for name, value in DEFAULT_LIMITS.items():
            if name not in container.resources.limits:
                container.resources.limits[name] = value


def user_part(job: Any) -> Any:
    """A job with only the fields that users set: two of them compare as desired states."""
    part = type(job)()
    for field in USER_FIELDS:
        one_of = job.DESCRIPTOR.fields_by_name[field].containing_oneof
        if one_of is not None and job.WhichOneof(one_of.name) != field:
            continue
        value = getattr(job, field)
        if hasattr(value, "CopyFrom"):
            if job.HasField(field):
                getattr(part, field).CopyFrom(value)
        elif hasattr(value, "items"):
            getattr(part, field).update(value)
        else:
            setattr(part, field, value)
    return part


def token(job: Any) -> str:
    """The token by which the job starts an execution, or has started its latest one."""
    return str(job.start_execution_token or job.run_execution_token)


def overridden(template: Any, overrides: Any) -> Any:
    """The template of one execution: a copy with a RunJobRequest's overrides in it."""
    result = type(template)()
    result.CopyFrom(template)
    if overrides.task_count:
        check_counts(overrides.task_count, 0)
        result.task_count = overrides.task_count
    if overrides.HasField("timeout"):
        check_timeout("overrides.timeout", overrides.timeout)
        result.template.timeout.CopyFrom(overrides.timeout)
    for index, override in enumerate(overrides.container_overrides):
        path = f"overrides.container_overrides[{index}]"
        _override_container(path, _target(path, result.template.containers, override.name), override)
    return result


def _target(path: str, containers: Any, name: str) -> Any:
    """The container of that name; a lone container needs no name."""
    for container in containers:
        if container.name == name or (len(containers) == 1 and (not name or not container.name)):
            return container
    known = ", ".join(repr(container.name) for container in containers)
    raise InvalidArgument.field(f"{path}.name", f"no container is named '{name}', the job has {known}")


def _override_container(path: str, container: Any, override: Any) -> None:
    if override.clear_args and override.args:
        raise InvalidArgument.field(f"{path}.clear_args", "args and clear_args exclude each other")
    if override.clear_args or override.args:
        del container.args[:]
        container.args.extend(override.args)
    check_env(f"{path}.env", override.env)
    env = {variable.name: variable for variable in container.env}
    env.update((variable.name, variable) for variable in override.env)
    merged = [type(variable).FromString(variable.SerializeToString()) for variable in env.values()]
    del container.env[:]
    container.env.extend(merged)
