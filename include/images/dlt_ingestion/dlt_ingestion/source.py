"""The API's pages as batches of rows: retried, each record once, memory flat."""

import itertools
import logging
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from dlt_ingestion.breeds import Batch
from dlt_ingestion.elements import BrokenArray, Element, NotAnArray, elements
from dlt_ingestion.errors import SourceError, TransientError
from dlt_ingestion.fetch import Api
from dlt_ingestion.settings import Settings

log = logging.getLogger(__name__)

BATCH_ROWS = 5_000
BATCH_BYTES = 4 * 1024 * 1024
_LONGEST_WAIT_S = 60.0


@dataclass(slots=True)
class Counts:
    """What a run has done so far; `stage` is what it is at."""

    pages: int = 0
    records: int = 0
    rejected: int = 0
    retries: int = 0
    staged: int = 0
    bytes: int = 0
    published: bool = False
    reasons: dict[str, int] = field(default_factory=dict)
    stage: str = "starting"
    stage_seconds: dict[str, float] = field(default_factory=dict)
    _entered: float = field(default_factory=time.monotonic)

    def enter(self, stage: str) -> None:
        """Begins `stage` and books the time of the one before."""
        now = time.monotonic()
        self.stage_seconds[self.stage] = self.stage_seconds.get(self.stage, 0.0) + now - self._entered
        self.stage, self._entered = stage, now


@dataclass(slots=True)
class _Page:
    """What is known of a page while it is read."""

    size: int  # how many records make it a full one
    announced: int  # how many the API says that there are in all pages; 0 when it does not say
    records: int = 0


def batches(settings: Settings, api: Api, counts: Counts) -> Iterator[Batch]:
    """All records, in batches of at most some 5,000 rows or 4 MiB.

    Asks for pages until one is short, empty or a repetition of an earlier one. Raises the errors of Api.page, and
    SourceError when there is not one record or an answer is no JSON array.
    """
    waiting = Batch()
    for batch in _pages(settings, api, counts):
        waiting.merge(batch)
        counts.records += batch.records
        counts.rejected += len(batch.rejected)
        counts.bytes += batch.size
        for rejected in batch.rejected:
            counts.reasons[rejected.reason] = counts.reasons.get(rejected.reason, 0) + 1
        if len(waiting.row_ids) >= BATCH_ROWS or waiting.size >= BATCH_BYTES:
            yield waiting
            waiting = Batch()
    if not counts.records:
        raise SourceError(
            f"GET {settings.url}: the API has no records (an empty list). The table keeps what it has; "
            "check DOG_API_BASE_URL and DOG_API_ENDPOINT, or run again when the API has its data back"
        )
    if waiting.records:
        yield waiting


def _pages(settings: Settings, api: Api, counts: Counts) -> Iterator[Batch]:
    seen: dict[int, int] = {}
    for number in itertools.count():
        page = _Page(settings.page_size, 0)
        head, rest = _head(_read(settings, api, number, page, counts), page)
        counts.pages += 1
        if not head.records:
            break
        first = seen.setdefault(_signature(head), number)
        if first != number:
            log.warning(
                "page %d repeats page %d: the API seems to ignore `page`; it is left out", number, first
            )
            break
        yield head
        yield from rest
        if page.records != page.size and counts.records >= page.announced:
            break
    if counts.records < page.announced:
        log.warning("the API announced %d records and sent %d", page.announced, counts.records)


def _head(found: Iterator[Batch], page: _Page) -> tuple[Batch, Iterator[Batch]]:
    """The page's records together, to compare it with earlier ones before any of them is passed on.

    More than a full page is what an API sends that ignores `limit`: the rest follows as a stream, not held.
    """
    head = Batch()
    for batch in found:
        head.merge(batch)
        if head.records > page.size:
            break
    return head, found


def _signature(batch: Batch) -> int:
    """Tells pages apart by their ids; by the texts where there are none."""
    return hash((*batch.row_ids, *(rejected.record for rejected in batch.rejected)))


def _read(settings: Settings, api: Api, number: int, page: _Page, counts: Counts) -> Iterator[Batch]:
    """One page in batches, over as many attempts as are granted; an attempt goes on where the last one broke off."""
    passed, failures = 0, 0
    last: Element | None = None
    started = time.monotonic()
    while True:
        try:
            for found in _attempt(settings, api, number, page, passed, last):
                batch = Batch()
                batch.add(found)
                passed, last = passed + len(found), found[-1]
                page.records = passed
                yield batch
            return
        except TransientError as error:
            failures += 1
            counts.retries += 1
            _wait(settings, error, failures, time.monotonic() - started)


def _attempt(
    settings: Settings, api: Api, number: int, page: _Page, passed: int, last: Element | None
) -> Iterator[list[Element]]:
    """The page's elements behind the first `passed` ones, of which `last` must still be the last."""
    with api.page(number) as body:
        granted = _count(body.headers.get("Pagination-Limit"))
        page.size = min(granted or settings.page_size, settings.page_size)
        page.announced = _count(body.headers.get("Pagination-Count"))
        at = 0
        try:
            for found in elements(body.chunks):
                fresh = found[max(0, passed - at) :]
                if at < passed <= at + len(found) and found[passed - at - 1] != last:
                    raise SourceError(
                        f"GET {settings.url}, page {number}: its records changed between two attempts"
                    )
                at += len(found)
                if fresh:
                    yield fresh
        except BrokenArray as error:
            raise TransientError(f"GET {settings.url}, page {number}: the JSON is broken, {error}") from error
        except NotAnArray as error:
            kind = body.headers.get("Content-Type", "no content type")
            raise _wrong_shape(f"GET {settings.url}, page {number}", kind, error.start) from error


def _wrong_shape(where: str, kind: str, start: bytes) -> SourceError:
    what = "an HTML page" if start.startswith(b"<") else "something else"
    text = start[:120].decode("utf-8", "replace")
    return SourceError(
        f"{where}: expected a JSON array of records and got {what} ({kind}) that begins with {text!r}. "
        "Check DOG_API_BASE_URL and DOG_API_ENDPOINT, or run again when the API is back"
    )


def _count(header: str | None) -> int:
    return int(header) if header and header.isascii() and header.isdigit() else 0


def _wait(settings: Settings, error: TransientError, failures: int, spent_s: float) -> None:
    """Waits before the next attempt: as long as the API asks, else longer each time, with jitter.

    Raises SourceError when there is no next attempt, or when the API asks for more than RETRY_AFTER_MAX_S.
    """
    asked = error.retry_after_s
    if failures >= settings.http_attempts:
        raise SourceError(
            f"{error}; gave up after {failures} attempts in {spent_s:.1f} seconds (HTTP_ATTEMPTS). Run again later"
        ) from error
    if asked is not None and asked > settings.retry_after_max_s:
        raise SourceError(
            f"{error}; the API asks to be left alone for {asked:.0f} seconds, more than "
            f"RETRY_AFTER_MAX_S={settings.retry_after_max_s:g}. Run again after that"
        ) from error
    longest = min(settings.retry_wait_s * 2 ** (failures - 1), _LONGEST_WAIT_S)
    pause = longest * random.uniform(0.5, 1) if asked is None else asked + random.uniform(0, longest / 4)
    log.warning("%s; attempt %d of %d in %.1f s", error, failures + 1, settings.http_attempts, pause)
    time.sleep(pause)
