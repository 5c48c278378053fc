"""The settings, read from the environment once and checked before anything else happens."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import PurePosixPath
from typing import TypeVar
from urllib.parse import urlsplit

from dlt_ingestion.errors import ConfigurationError

T = TypeVar("T")
PRODUCTION = ("production", "prod")


class Destination(StrEnum):
    """Where the rows go."""

    BIGQUERY = "bigquery"
    DUCKDB = "duckdb"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One run's settings. Sizes in rows, times in seconds, shares from 0 to 1."""

    destination: Destination = Destination.BIGQUERY
    project_id: str = ""
    location: str = "US"
    duckdb_path: str = ""
    duckdb_memory_limit: str = "96MB"
    base_dataset: str = "dog_breeds_raw"
    environment: str = "production"
    api_base_url: str = "https://api.thedogapi.com/v1"
    api_endpoint: str = "breeds"
    api_key: str = field(default="", repr=False)
    page_size: int = 100
    max_rejected_share: float = 0.05
    http_timeout_s: float = 30.0
    http_attempts: int = 5
    retry_wait_s: float = 1.0
    retry_after_max_s: float = 300.0

    @property
    def dataset(self) -> str:
        """The dataset's name: the base name in production, else with `_<environment>` behind it."""
        if self.environment in PRODUCTION:
            return self.base_dataset
        return f"{self.base_dataset}_{self.environment.replace('-', '_')}"

    @property
    def url(self) -> str:
        """Where the records are."""
        return f"{self.api_base_url.rstrip('/')}/{self.api_endpoint.strip('/')}"

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> "Settings":
        """Reads and checks everything. Raises ConfigurationError for the first variable that is wrong."""
        read = _Reader(environ)
        destination = read("DESTINATION", _destination, Destination.BIGQUERY)
        bigquery = destination is Destination.BIGQUERY
        return cls(
            destination=destination,
            project_id=read("GCP_PROJECT_ID", _project, None if bigquery else ""),
            location=read("BIGQUERY_LOCATION", _location, "US"),
            duckdb_path=read("DUCKDB_PATH", _absolute, "" if bigquery else None),
            duckdb_memory_limit=read("DUCKDB_MEMORY_LIMIT", _memory, "96MB"),
            base_dataset=read("BIGQUERY_DATASET", _dataset, "dog_breeds_raw"),
            environment=read("ENVIRONMENT", _environment, "production"),
            api_base_url=read("DOG_API_BASE_URL", _url, "https://api.thedogapi.com/v1"),
            api_endpoint=read("DOG_API_ENDPOINT", _endpoint, "breeds"),
            api_key=read("DOG_API_KEY", _key, "", secret=True),
            page_size=read("PAGE_SIZE", _whole(1, 10_000), 100),
            max_rejected_share=read("MAX_REJECTED_SHARE", _number(0, 1), 0.05),
            http_timeout_s=read("HTTP_TIMEOUT_S", _number(0.1, 600), 30.0),
            http_attempts=read("HTTP_ATTEMPTS", _whole(1, 20), 5),
            retry_wait_s=read("RETRY_WAIT_S", _number(0, 60), 1.0),
            retry_after_max_s=read("RETRY_AFTER_MAX_S", _number(0, 1_500), 300.0),
        )


@dataclass(frozen=True, slots=True)
class _Reader:
    environ: Mapping[str, str]

    def __call__(self, name: str, check: Callable[[str], T], default: T | None, *, secret: bool = False) -> T:
        text = self.environ.get(name, "").strip()
        if not text:
            if default is None:
                raise ConfigurationError(f"{name} is not set: {check.__doc__}")
            return default
        try:
            return check(text)
        except ValueError:
            shown = "<hidden>" if secret else f"{text!r:.200}"
            raise ConfigurationError(f"{name}={shown} cannot be used: {check.__doc__}") from None


def _matching(pattern: str, text: str) -> str:
    if not re.fullmatch(pattern, text):
        raise ValueError(text)
    return text


def _destination(text: str) -> Destination:
    """set it to bigquery or duckdb"""
    return Destination(text.lower())


def _project(text: str) -> str:
    """set it to the id of the Google Cloud project that holds the dataset, like my-project-123"""
    return _matching(r"([a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]", text)


def _location(text: str) -> str:
    """set it to a BigQuery location, like US, EU or europe-west1"""
    return _matching(r"[A-Za-z0-9-]+", text)


def _absolute(text: str) -> str:
    """set it to the absolute path of the DuckDB file, like /data/breeds.duckdb"""
    if not PurePosixPath(text).is_absolute() or text.endswith("/"):
        raise ValueError(text)
    return text


def _memory(text: str) -> str:
    """set it to a size with its unit, like 96MB"""
    return _matching(r"[1-9][0-9]* ?(MB|MiB|GB|GiB)", text)


def _dataset(text: str) -> str:
    """set it to a dataset name: small letters, digits and underscores, a letter first"""
    return _matching(r"[a-z][a-z0-9_]{0,199}", text)


def _environment(text: str) -> str:
    """set it to production or to another name of small letters, digits, - and _, like dev or pr_12"""
    return _matching(r"[a-z][a-z0-9_-]{0,49}", text.lower())


def _url(text: str) -> str:
    """set it to an address like https://api.thedogapi.com/v1; no user name, no query (a key goes into DOG_API_KEY)"""
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        raise ValueError(text)
    if parts.query or parts.fragment or (parts.port is not None and parts.port < 1):
        raise ValueError(text)
    return text


def _endpoint(text: str) -> str:
    """set it to the path below DOG_API_BASE_URL, like breeds"""
    return _matching(r"/?[A-Za-z0-9._~-]+(/[A-Za-z0-9._~-]+)*/?", text)


def _key(text: str) -> str:
    """set it to the API's key: visible ASCII characters, no spaces (the secret's value may hold a stray line break)"""
    return _matching(r"[\x21-\x7e]+", text)


def _whole(least: int, most: int) -> Callable[[str], int]:
    def whole(text: str) -> int:
        if not least <= int(text) <= most:
            raise ValueError(text)
        return int(text)

    whole.__doc__ = f"set it to a whole number from {least} to {most}"
    return whole


def _number(least: float, most: float) -> Callable[[str], float]:
    def number(text: str) -> float:
        value = float(text)
        if math.isnan(value) or not least <= value <= most:
            raise ValueError(text)
        return value

    number.__doc__ = f"set it to a number from {least:g} to {most:g}"
    return number
