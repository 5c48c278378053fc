"""GET requests to the API: time-outs, and every failure as an error that says whether it may pass."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

import requests

from dlt_ingestion.errors import ConfigurationError, SourceError, TransientError
from dlt_ingestion.settings import Settings

CHUNK_BYTES = 256 * 1024
_PASSING = frozenset({408, 425, 429})
_SETTINGS_AT_FAULT = {
    401: "the API wants a key: set DOG_API_KEY from a secret",
    403: "the API refuses this caller: check that DOG_API_KEY holds a valid key",
    404: "there is nothing at this address: check DOG_API_BASE_URL and DOG_API_ENDPOINT",
}


@dataclass(frozen=True, slots=True)
class Body:
    """A successful answer: its headers, and its bytes as they come."""

    headers: Mapping[str, str]
    chunks: Iterator[bytes]


class Api:
    """One connection to the API of `settings`; close it when done."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._session = requests.Session()
        self._session.headers["Accept"] = "application/json"
        if settings.api_key:
            self._session.headers["x-api-key"] = settings.api_key

    def close(self) -> None:
        """Drops the connection."""
        self._session.close()

    @contextmanager
    def page(self, number: int) -> Iterator[Body]:
        """The answer for page `number`, counted from 0.

        Raises TransientError for time-outs, lost connections, 408, 425, 429 and 5xx, here and while the chunks
        are read; ConfigurationError for 401, 403, 404 and redirects (which could carry the key elsewhere);
        SourceError for any other status.
        """
        settings = self._settings
        where = f"GET {settings.url}, page {number}"
        try:
            response = self._session.get(
                settings.url,
                params={"limit": settings.page_size, "page": number},
                timeout=settings.http_timeout_s,
                stream=True,
                allow_redirects=False,
            )
        except requests.RequestException as error:
            raise _lost(where, error, settings.http_timeout_s) from error
        with response:
            _check(where, response)
            yield Body(response.headers, self._chunks(where, response))

    def _chunks(self, where: str, response: requests.Response) -> Iterator[bytes]:
        try:
            yield from response.iter_content(CHUNK_BYTES)
        except requests.RequestException as error:
            raise _lost(where, error, self._settings.http_timeout_s) from error


def _check(where: str, response: requests.Response) -> None:
    status = response.status_code
    said = f"{where}: {status} {response.reason or ''}".rstrip()
    if status == 200:
        return
    if status in _PASSING or status >= 500:
        raise TransientError(said, retry_after(response.headers.get("Retry-After", "")))
    if 300 <= status < 400:
        raise ConfigurationError(f"{said}: the API has moved; set DOG_API_BASE_URL to its new address")
    if status in _SETTINGS_AT_FAULT:
        raise ConfigurationError(f"{said}: {_SETTINGS_AT_FAULT[status]}")
    raise SourceError(f"{said}: the API does not accept the request")


def _lost(where: str, error: requests.RequestException, timeout_s: float) -> SourceError:
    if isinstance(error, requests.Timeout):
        return TransientError(f"{where}: no answer within HTTP_TIMEOUT_S={timeout_s:g} seconds")
    return TransientError(f"{where}: the connection failed ({_root(error)})")


def _root(error: BaseException) -> str:
    """The innermost reason; what requests and urllib3 wrap around it repeats the address and little else."""
    seen: set[int] = set()
    while id(error) not in seen:
        seen.add(id(error))
        inner = getattr(error, "reason", None) or (error.args[-1] if error.args else None) or error.__cause__
        if isinstance(inner, BaseException):
            error = inner
    return f"{type(error).__name__}: {error}"


def retry_after(value: str) -> float | None:
    """Seconds to wait by a Retry-After header, in seconds or as an HTTP date (RFC 9110, 10.2.3); None without sense."""
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None
