"""Job templates: a YAML file of `base` values with an overlay an environment, rendered by Jinja, checked by pydantic.

    base:
      name: nightly-report
      image: {{ (settings.registry ~ "/report:" ~ settings.image_tag) | tojson }}
      env: {LOG_LEVEL: info}
    local:
      env: {LOG_LEVEL: debug}

Mappings of an overlay are merged into the base's, other values replace them, null removes. `exit_codes` says what an
exit code of the container means, and `policy` what follows a failure (gcp_jobs/policy.py).
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any, Self, TypeVar

import jinja2
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from gcp_jobs.errors import TemplateError
from gcp_jobs.failure import FailureClass
from gcp_jobs.ladder import bound
from gcp_jobs.policy import CLASSES, BreakerLimits, Ladder, Policy, Retry
from gcp_jobs.settings import Settings
from gcp_jobs.spec import Container, JobSpec, Network, Volume
from gcp_jobs.strict_yaml import load, nearest

_M = TypeVar("_M", bound=BaseModel)
OVERLAYS = ("local", "dev", "stg", "prod")


class ExitCode(BaseModel):
    """What one exit code of the container means.

    `class` is a failure class; without one `retry` decides between application and configuration. `dependency` names
    what is down, such as "dog api": a breaker watches it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    means: str = Field(min_length=1)
    todo: str = ""
    retry: bool = True
    class_: FailureClass | None = Field(default=None, alias="class")
    dependency: str = ""

    @property
    def kind(self) -> FailureClass:
        """The class of a failure with this code."""
        if self.class_ is not None:
            return self.class_
        return FailureClass.APPLICATION if self.retry else FailureClass.CONFIGURATION

    @model_validator(mode="after")
    def _named(self) -> Self:
        if bool(self.dependency) != (self.class_ is FailureClass.DEPENDENCY_DOWN):
            raise ValueError("class dependency_down and a `dependency` by name belong together")
        return self


@dataclass(frozen=True)
class JobTemplate:
    """A rendered and checked template for one environment."""

    spec: JobSpec
    exit_codes: Mapping[int, ExitCode]
    policy: Policy = field(default_factory=Policy)


class _Beside(BaseModel):
    """What stands in a template beside the spec: it changes what follows a run, not the run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    exit_codes: dict[int, ExitCode] = {}
    policy: Policy = Policy()


class FolderLoader(jinja2.BaseLoader):
    """Finds template files in `folders`, then wherever `fallback` looks; says where it looked when nobody has it."""

    def __init__(self, folders: Iterable[Path], fallback: jinja2.BaseLoader | None = None) -> None:
        self.folders = tuple(folders)
        self.fallback = fallback

    @cached_property
    def _files(self) -> jinja2.FileSystemLoader:
        return jinja2.FileSystemLoader([str(folder) for folder in self.folders])

    def get_source(
        self, environment: jinja2.Environment, template: str
    ) -> tuple[str, str | None, Callable[[], bool] | None]:
        """Give the text of a template. Raises jinja2.TemplateNotFound naming folders and the nearest file."""
        for loader in filter(None, (self._files, self.fallback)):
            try:
                return loader.get_source(environment, template)
            except jinja2.TemplateNotFound:
                continue
        raise jinja2.TemplateNotFound(template, self._missing(template))

    def _missing(self, template: str) -> str:
        there = sorted({f.name for folder in self.folders if folder.is_dir() for f in folder.glob("*.yaml")})
        near = get_close_matches(template, there, 1)
        folders = ", ".join(map(str, self.folders)) or "(none)"
        hint = f"did you mean {near[0]}?" if near else f"they hold {', '.join(there) or 'no template'}."
        return f"no job template {template!r} in {folders} (setting GCP_JOBS_TEMPLATE_FOLDERS); {hint}"


def parse(
    text: str,
    *,
    source: str,
    settings: Settings,
    overrides: Mapping[str, Any] | None = None,
    backend: str = "cloud_run",
) -> JobTemplate:
    """Check rendered template text for `settings.environment`.

    :param source: the file's name, for messages
    :param overrides: values that win over base and overlay (an operator's project_id, region, job_name)
    :param backend: what will run it: defaults of settings that it does not have are left out
    :raises TemplateError: naming file, field and fix
    """
    document = _load(text, source)
    overlay = document.get(settings.environment) or {}
    merged = _merge(document["base"], overlay)
    beside = {k: merged.pop(k) for k in list(merged) if k in _Beside.model_fields}
    values = (
        _defaults(settings, backend) | merged | {k: v for k, v in (overrides or {}).items() if v is not None}
    )
    values["environment"] = settings.environment
    values["labels"] = _labels(settings) | (values.get("labels") or {})

    def place(path: str) -> str:
        top = path.split(".", 1)[0]
        return f"{settings.environment if top in overlay else 'base'}.{path}"

    checked, spec = _check(_Beside, beside, source, place), _check(JobSpec, values, source, place)
    if checked.policy.ladder.other_backend and (ties := bound(spec)):
        raise TemplateError(
            f"policy.ladder.other_backend: the job fits one backend only, for it has {', '.join(ties)}",
            where=source, todo="Leave other_backend out, or what ties the job.",
        )  # fmt: skip
    return JobTemplate(spec, checked.exit_codes, checked.policy)


def inline(
    values: Mapping[str, Any],
    settings: Settings,
    overrides: Mapping[str, Any] | None = None,
    backend: str = "cloud_run",
) -> JobTemplate:
    """Check a spec that an operator was given directly; the same fields, without overlays."""
    text = yaml.safe_dump({"base": dict(values)})
    return parse(text, source="spec", settings=settings, overrides=overrides, backend=backend)


def _defaults(settings: Settings, backend: str) -> dict[str, Any]:
    ours = {
        "project": settings.project,
        "region": settings.region,
        "service_account": settings.job_service_account,
    }
    if backend == "batch":  # it has neither connectors nor keys for jobs
        return ours
    network = None
    if settings.vpc_connector:
        network = {"connector": settings.vpc_connector, "egress": settings.vpc_egress}
    return {**ours, "kms_key": settings.kms_key, "network": network}


def _labels(settings: Settings) -> dict[str, str]:
    return {"environment": settings.environment, "managed-by": "gcp-jobs"}


def _load(text: str, source: str) -> dict[str, Any]:
    try:
        document = load(text)
    except yaml.YAMLError as error:
        raise TemplateError(f"not valid YAML: {error}", where=source, todo="Correct the file.") from error
    if not isinstance(document, dict) or not isinstance(document.get("base"), dict):
        raise TemplateError(
            "a template needs a mapping `base`", where=source, todo="See gcp_jobs/template.py."
        )
    for key, value in document.items():
        if key not in ("base", *OVERLAYS):
            raise TemplateError(
                f"unknown key {key!r}", where=source, todo=nearest(str(key), ("base", *OVERLAYS))
            )
        if not isinstance(value, dict | None):
            raise TemplateError(
                "an overlay must be a mapping", where=f"{source}: {key}", todo="Indent its fields."
            )
    return document


def _merge(base: Mapping[str, Any], overlay: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in overlay.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = _merge(merged[key], value)
        else:
            merged[key] = value
    return merged


def _check(model: type[_M], values: dict[str, Any], source: str, place: Callable[[str], str]) -> _M:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise TemplateError(
            "; ".join(_explain(model, dict(e), place) for e in error.errors()),
            where=source,
            todo="Correct the file.",
        ) from error


def _explain(model: type[BaseModel], error: dict[str, Any], place: Callable[[str], str]) -> str:
    path = place(".".join(str(part) for part in error["loc"] if part != "[key]")) if error["loc"] else "base"
    if error["type"] == "extra_forbidden":
        return f"{path}: unknown key; {nearest(str(error['loc'][-1]), _fields(model, error['loc'][:-1]))}"
    if error["type"] == "missing":
        return f"{path}: missing; add it"
    said = str(error["msg"]).removeprefix("Value error, ")
    shown = "" if error["type"] == "value_error" else f", got {error['input']!r}"
    return f"{path}: {said}{shown}"


def _fields(model: type[BaseModel], path: tuple[int | str, ...]) -> list[str]:
    """Name the keys that are right at a path: a nested model's, or the spec's and the policy's."""
    nested: dict[int | str, type[BaseModel]] = {
        "network": Network, "volumes": Volume, "sidecars": Container, "init_containers": Container,
        "exit_codes": ExitCode,
    }  # fmt: skip
    if path[:1] == ("policy",):
        nested = {
            **dict.fromkeys(CLASSES, Retry),
            "ladder": Ladder,
            "breaker": BreakerLimits,
            "policy": Policy,
        }
        path = path[1:] or path
    if path and path[0] in nested:
        return [f.alias or name for name, f in nested[path[0]].model_fields.items()]
    return [*JobSpec.model_fields, *_Beside.model_fields] if not path else list(model.model_fields)
