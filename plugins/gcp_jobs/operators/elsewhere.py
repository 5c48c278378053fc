"""A run of one backend's operator on the other backend: what it asks for there."""

from collections.abc import Mapping, Sequence
from typing import Any

from gcp_jobs.backends.base import RunRequest
from gcp_jobs.model import JobRef, JobSpec
from gcp_jobs.names import stem
from gcp_jobs.operators.context import identity_of, labels_of

# what Cloud Run changes for a run alone, beside its definition; Batch makes the job anew each time
PER_RUN = {"cloud_run": frozenset({"env", "task_count", "parallelism", "timeout"}), "batch": frozenset[str]()}


def request(
    backend: str, spec: JobSpec, ti: Any, args: Sequence[str] | None, env: Mapping[str, str] | None,
    changed: Mapping[str, Any],
) -> RunRequest:  # fmt: skip
    """Say which run is wanted.

    :param args: instead of the spec's, `env` beside the spec's
    :param changed: fields of the spec that only this run changes (PER_RUN)
    """
    return RunRequest(
        JobRef(backend, spec.project, spec.region, stem(spec.name) if backend == "batch" else spec.name),
        run_key="",
        args=None if args is None else tuple(map(str, args)),
        env={**changed.get("env", {}), **identity_of(ti), **{k: str(v) for k, v in (env or {}).items()}},
        overrides=overrides(changed),
        spec=spec if backend == "batch" else None,
        labels=labels_of(ti) if backend == "batch" else {},
    )


def overrides(changed: Mapping[str, Any]) -> dict[str, Any]:
    """Say in Cloud Run's form what only one run changes, but for its environment."""
    found: dict[str, Any] = {"task_count": changed["task_count"]} if "task_count" in changed else {}
    return found | ({"timeout": {"seconds": changed["timeout"]}} if "timeout" in changed else {})
