"""A dead letter as the arguments of the operator that runs it again, with or without changed fields.

What the ledger hid (secret values) or cut (texts of many thousand characters) cannot be brought back from it.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from gcp_jobs.dead_letters.choice import Letter, LetterRefused
from gcp_jobs.ledger.journal import REPLAY_OF
from gcp_jobs.ledger.scrub import HIDDEN, LONGEST
from gcp_jobs.params import check
from gcp_jobs.settings import Settings
from gcp_jobs.spec import JobSpec
from gcp_jobs.template import inline

OF_THE_RUN = ("args", "env")  # what any run may change against its job
CLOUD_RUN_RUN = (*OF_THE_RUN, "task_count", "timeout")  # RunJob's overrides
_OURS = (  # the new task says these anew
    "GCP_JOBS_DAG_ID", "GCP_JOBS_RUN_ID", "GCP_JOBS_TASK_ID", "GCP_JOBS_MAP_INDEX", "GCP_JOBS_TRY_NUMBER",
    "GCP_JOBS_KEEP", "TRACEPARENT", "airflow-", "managed-by",
)  # fmt: skip


def arguments(letter: Letter, change: Mapping[str, Any], here: Settings) -> dict[str, Any]:
    """Give the operator's arguments (BatchJobOperator, CloudRunJobOperator) that repeat the letter.

    :param change: fields of a job template that replace the letter's; mappings are merged, null removes
    :raises LetterRefused: it holds hidden or cut values, or a field cannot be changed
    :raises UnknownParams: a field does not exist
    :raises TemplateError: a changed value is wrong
    """
    where = f"dead letter {letter['entry'][:10]}"
    check(change, JobSpec.model_fields.keys() - {"environment", "name", "project"}, where=where)
    said = dict(letter["overrides"] or {})
    env = _merged(_theirs(said.get("env")), change.get("env"))
    given: dict[str, Any] = {"env": {**env, REPLAY_OF: letter["entry"]}}
    args = change.get("args", said.get("args"))
    if args is not None:
        given["args"] = list(args)
    if letter["backend"] == "batch":
        given |= _batch(letter, said, change, where)
    else:
        given |= _cloud_run(letter, said, change, here, where)
    _require_whole(given, where)
    if given.get("spec"):
        inline(given["spec"], here, backend=letter["backend"])
    return given


def _batch(letter: Letter, said: Mapping[str, Any], change: Mapping[str, Any], where: str) -> dict[str, Any]:
    labels = {"labels": _theirs(said.get("labels"))}
    if letter["spec"]:
        return {**labels, "spec": _changed(letter["spec"], _lasting(change, OF_THE_RUN))}
    _only(change, OF_THE_RUN, where, "the DAG gave the job as Batch has it, not as a template")
    prefix = letter["job"].removesuffix(f"-{(letter['run_key'] or '')[:20]}")
    place = {"project_id": letter["project"], "region": letter["region"]}
    return {**labels, **place, "job": said.get("overrides") or {}, "job_name_prefix": prefix}


def _cloud_run(
    letter: Letter, said: Mapping[str, Any], change: Mapping[str, Any], here: Settings, where: str
) -> dict[str, Any]:
    overrides = dict(said.get("overrides") or {})
    if "task_count" in change:
        overrides["task_count"] = change["task_count"]
    if "timeout" in change:
        overrides["timeout"] = {"seconds": _seconds(change["timeout"], where)}
    given = {"overrides": overrides} if overrides else {}
    if not letter["spec"]:
        _only(change, CLOUD_RUN_RUN, where, "the DAG names a job that is deployed elsewhere")
        place = {"project_id": letter["project"], "region": letter["region"]}
        return {**given, **place, "job_name": letter["job"]}
    lasting = _lasting(change, CLOUD_RUN_RUN)
    if not here.manage_jobs:
        _only(lasting, (), where, f"in {here.environment} the deployment writes Cloud Run jobs")
    return {**given, "spec": _changed(letter["spec"], lasting)}


def _lasting(change: Mapping[str, Any], of_the_run: tuple[str, ...]) -> dict[str, Any]:
    """Leave out what a run changes by itself; it can set variables, but not take one away."""
    rest = {name: value for name, value in change.items() if name not in of_the_run}
    away = {name: None for name, value in (change.get("env") or {}).items() if value is None}
    return {**rest, "env": away} if away else rest


def _changed(spec: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """Lay the change over the spec; what is a secret now is no plain variable any more."""
    after = {name: value for name, value in spec.items() if value is not None}
    for name, value in change.items():
        if value is None:
            after.pop(name, None)
        else:
            after[name] = _merged(after.get(name) or {}, value) if isinstance(value, Mapping) else value
    if secret := change.get("secrets"):
        after["env"] = {name: value for name, value in after.get("env", {}).items() if name not in secret}
    return after


def _merged(old: Any, new: Mapping[str, Any] | None) -> dict[str, Any]:
    both = {**(old if isinstance(old, Mapping) else {}), **(new or {})}
    return {name: value for name, value in both.items() if value is not None}


def _theirs(values: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: value for name, value in (values or {}).items() if not name.startswith(_OURS)}


def _only(change: Mapping[str, Any], allowed: tuple[str, ...], where: str, why: str) -> None:
    strange = sorted(set(change) - set(allowed))
    if strange:
        raise LetterRefused(
            f"{', '.join(strange)} cannot be changed: {why}", where=where,
            todo=f"Allowed here: {', '.join(allowed or CLOUD_RUN_RUN)}. Or change it where it is written, then clear "
            "the task.",
        )  # fmt: skip


def _require_whole(given: Mapping[str, Any], where: str) -> None:
    lost = sorted(_lost(given, ""))
    if lost:
        raise LetterRefused(
            f"the ledger does not hold the value of {', '.join(lost)} (secrets are hidden there, long texts cut)",
            where=where,
            todo="Clear the task in its own DAG run, which renders the job anew; or give the field by `change`, a "
            "secret by `secrets`.",
        )  # fmt: skip


def _lost(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, str) and (HIDDEN in value or len(value) > LONGEST):
        yield path
    items = (
        value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    )
    for name, item in items:
        yield from _lost(item, f"{path}.{name}" if path else str(name))


def _seconds(value: Any, where: str) -> int:
    from gcp_jobs import quantity

    try:
        return quantity.seconds(value)
    except ValueError as error:
        raise LetterRefused(str(error), where=where, todo="Write it like 3600s or 1h.") from error
