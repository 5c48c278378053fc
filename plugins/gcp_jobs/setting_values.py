"""What values settings may have: types that read a variable's text and say what is allowed."""

import os
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo
from pydantic_settings import NoDecode

LOCAL_PROJECT = "local-project"
_TOPIC = r"^(projects/[^/]+/topics/)?[A-Za-z][A-Za-z0-9_.~+%-]{2,254}$"
_SUBSCRIPTION = r"^(projects/[^/]+/subscriptions/)?[A-Za-z][A-Za-z0-9_.~+%{}-]{2,254}$"


def _folders(value: object) -> object:
    return [Path(p) for p in value.split(os.pathsep) if p] if isinstance(value, str) else value


def _words(value: object) -> object:
    return [w.strip() for w in value.split(",") if w.strip()] if isinstance(value, str) else value


def _time_zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(
            "allowed: a name of the IANA time zone database such as UTC or Europe/Berlin"
        ) from error
    return value


def _cron(value: str) -> str:
    from croniter import croniter  # type: ignore[import-untyped]

    if not croniter.is_valid(value):
        raise ValueError("allowed: a cron expression such as 0 2 * * 1")
    return value


def _cron_if_any(value: str | None) -> str | None:
    return _cron(value) if value else None


def _none_if_empty(value: object) -> object:
    return None if value == "" else value


def _not_the_laptops(value: str, info: ValidationInfo) -> str:
    if value == LOCAL_PROJECT and info.data.get("environment", "local") != "local":
        raise ValueError(f"allowed in {info.data['environment']}: the id of your Google Cloud project")
    return value


def _not_in_production(value: str | None, info: ValidationInfo) -> str | None:
    if value and info.data.get("environment") in ("stg", "prod"):
        raise ValueError(f"allowed in {info.data['environment']}: unset, so that jobs run on Google Cloud")
    return value


def _with_topic(value: str, info: ValidationInfo) -> str:
    if value == "sink" and not info.data.get("log_topic"):
        raise ValueError("allowed once GCP_JOBS_LOG_TOPIC is set")
    return value


Optional = Annotated[str | None, BeforeValidator(_none_if_empty)]
Region = Annotated[str, Field(pattern=r"^[a-z]+-[a-z]+[0-9]+$")]
Folders = Annotated[tuple[Path, ...], NoDecode, BeforeValidator(_folders)]
Regions = Annotated[tuple[Region, ...], NoDecode, BeforeValidator(_words)]
Places = Annotated[
    tuple[Annotated[str, Field(pattern=r"^[^/\s]+/[a-z]+-[a-z]+[0-9]+$")], ...],
    NoDecode,
    BeforeValidator(_words),
]
HostPort = Annotated[
    str | None,
    Field(pattern=r"^[^:/]+:\d+$"),
    BeforeValidator(_none_if_empty),
    AfterValidator(_not_in_production),
]
Url = Annotated[str, Field(pattern=r"^https?://[^/]+"), AfterValidator(lambda url: url.rstrip("/"))]
UrlIfAny = Annotated[Url | None, BeforeValidator(_none_if_empty)]
EmulatorUrl = Annotated[Url | None, BeforeValidator(_none_if_empty), AfterValidator(_not_in_production)]
Project = Annotated[str, AfterValidator(_not_the_laptops)]
TimeZone = Annotated[str, AfterValidator(_time_zone)]
Cron = Annotated[str, AfterValidator(_cron)]
CronIfAny = Annotated[str | None, AfterValidator(_cron_if_any), BeforeValidator(_none_if_empty)]
RetriesIfAny = Annotated[int | None, Field(ge=0, le=5), BeforeValidator(_none_if_empty)]
Topic = Annotated[str, Field(pattern=_TOPIC)]
TopicIfAny = Annotated[str | None, Field(pattern=_TOPIC), BeforeValidator(_none_if_empty)]
Subscription = Annotated[str, Field(pattern=_SUBSCRIPTION)]
SubscriptionIfAny = Annotated[str | None, Field(pattern=_SUBSCRIPTION), BeforeValidator(_none_if_empty)]
LogSource = Annotated[Literal["tail", "sink", "lists"], AfterValidator(_with_topic)]
OwnFolder = Annotated[Path, AfterValidator(lambda path: path.expanduser().absolute())]
