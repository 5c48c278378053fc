"""Reads of Cloud Logging: entries.list, 60 a minute and project, for all readers of this process by one pace."""

from contextlib import AbstractContextManager
from functools import cache
from typing import Any

from gcp_jobs.pace import Pace
from gcp_jobs.settings import settings

PAGE = 1000
TIMEOUT_S = 30.0


@cache
def shared_pace() -> Pace:
    """Give this process' bucket."""
    return Pace(settings().log_reads_per_minute)


def request(project: str, wanted: str, token: str = "", *, newest: int = 0) -> Any:
    """Build a request, oldest first; with `newest` for that many, newest first."""
    from google.cloud.logging_v2.types import ListLogEntriesRequest

    return ListLogEntriesRequest(
        resource_names=[f"projects/{project}"],
        filter=wanted,
        order_by="timestamp desc" if newest else "timestamp asc",
        page_size=newest or PAGE,
        page_token=token,
    )


def read(api: Any, asked: Any) -> Any:
    """Read one page: a bare ListLogEntriesResponse."""
    return _bare(next(iter(api.list_log_entries(asked, timeout=TIMEOUT_S).pages)))


async def aread(api: Any, asked: Any) -> Any:
    """Async form of `read`."""
    pager = await api.list_log_entries(asked, timeout=TIMEOUT_S)
    return _bare(await anext(aiter(pager.pages)))


def explained(project: str, doing: str = "read the log") -> AbstractContextManager[None]:
    """Turn Google's exceptions from the block into ours."""
    from gcp_jobs.backends import refusal  # imports Google's libraries: not while triggers are loaded

    role = "roles/logging.viewer (logging.logEntries.list; on a log view roles/logging.viewAccessor)"
    return refusal.explained(doing, f"projects/{project}", role)


def _bare(page: Any) -> Any:
    return type(page).pb(page)
