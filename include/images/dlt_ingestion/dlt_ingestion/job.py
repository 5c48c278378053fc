"""One run from settings to exit code, with a line every few seconds and one at the end that sums up."""

import logging
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from types import FrameType
from typing import Any

from dlt_ingestion import log as logs
from dlt_ingestion.ahead import ahead
from dlt_ingestion.errors import ExitCode, IngestionError, RejectedError, Stopped
from dlt_ingestion.settings import PRODUCTION, Settings
from dlt_ingestion.source import Counts, batches

log = logging.getLogger(__name__)

PROGRESS_S = 3.0
READ_AHEAD = 6  # batches


def main(environ: Mapping[str, str]) -> int:
    """Runs the job as `environ` says and returns its exit code; never raises for what can go wrong outside it."""
    logs.configure(logging.INFO)
    counts, started = Counts(), time.monotonic()
    try:
        settings = Settings.from_environment(environ)
    except IngestionError as error:
        return _finish(error.exit_code, f"{error}", counts, started)
    verbose = settings.environment not in PRODUCTION
    logs.configure(logging.DEBUG if verbose else logging.INFO, settings.api_key)
    try:
        with (
            tempfile.TemporaryDirectory(prefix="dlt-ingestion-", ignore_cleanup_errors=True) as work,
            _stoppable(),
        ):
            _apart(lambda: run(settings, counts, work))
    except IngestionError as error:
        return _finish(error.exit_code, f"{error}", counts, started)
    except Stopped as stop:
        return _finish(
            stop.exit_code, f"stopped by {stop} while {counts.stage}; {_left(counts)}", counts, started
        )
    except Exception:
        log.exception("unexpected failure while %s; this is a fault of the program", counts.stage)
        return _finish(ExitCode.UNEXPECTED, "failed unexpectedly; the lines above say where", counts, started)
    where = f"{settings.destination} {settings.dataset}"
    return _finish(
        ExitCode.COMPLETE, f"loaded {counts.records - counts.rejected} breeds into {where}", counts, started
    )


def run(settings: Settings, counts: Counts, work: str) -> None:
    """Reads, stages and publishes; `counts` tells how far it is, `work` is a folder for what is on its way.

    Raises an IngestionError when the load is not complete.
    """
    import dlt  # takes a second to import: only when the settings are right

    from dlt_ingestion import destination
    from dlt_ingestion.fetch import Api
    from dlt_ingestion.pipeline import CONFIG, Loader

    log.info("loading %s into %s %s", settings.url, settings.destination, settings.dataset)
    api = Api(settings)
    try:
        with (
            _progress(counts),
            dlt.config.values(CONFIG),
            destination.opened(settings) as store,
        ):
            loader = Loader(settings, store, datetime.now(UTC), work)
            with ahead(batches(settings, api, counts), READ_AHEAD) as read:
                loader.stage(read, counts)
            too_many = _too_many(settings, counts)
            loader.publish(counts, breeds=too_many is None)
            if too_many:
                raise too_many
    except Exception as error:
        explained = destination.explained(error, settings)
        if explained is None or explained is error:
            raise
        log.debug("what lies behind the failure", exc_info=error)
        raise explained from error
    finally:
        api.close()


def _too_many(settings: Settings, counts: Counts) -> RejectedError | None:
    if counts.rejected < counts.records and counts.rejected <= settings.max_rejected_share * counts.records:
        if counts.rejected:
            log.warning("%d of %d records set aside: %s", counts.rejected, counts.records, _reasons(counts))
        return None
    return RejectedError(
        f"{counts.rejected} of {counts.records} records cannot be used, more than "
        f"MAX_REJECTED_SHARE={settings.max_rejected_share:g} allows ({_reasons(counts)}). The breeds are as they were; "
        f"the records lie in {settings.dataset}.dog_breeds_rejected with their reasons"
    )


def _reasons(counts: Counts) -> str:
    often = sorted(counts.reasons.items(), key=lambda item: -item[1])[:3]
    return "; ".join(f"{number} x {reason}" for reason, number in often)


@contextmanager
def _progress(counts: Counts) -> Iterator[None]:
    """Logs every few seconds what the run is at."""
    done = threading.Event()

    def tell() -> None:
        while not done.wait(PROGRESS_S):
            log.info(
                "%s: %d pages, %d records read, %d staged",
                counts.stage,
                counts.pages,
                counts.records,
                counts.staged,
            )

    teller = threading.Thread(target=tell, name="progress", daemon=True)
    teller.start()
    try:
        yield
    finally:
        done.set()
        teller.join()


def _apart(work: Callable[[], None]) -> None:
    """Does `work` in a thread and raises what it raises.

    The main thread only waits, so that a signal's exception comes up there and nowhere else: inside DuckDB or the
    import of a C++ module it would turn into another error or end the process.
    """
    raised: list[BaseException] = []
    ended = threading.Event()

    def body() -> None:
        try:
            work()
        except BaseException as error:  # whatever it is, the main thread has to know
            raised.append(error)
        finally:
            ended.set()

    threading.Thread(target=body, name="job", daemon=True).start()
    ended.wait()
    if raised:
        raise raised[0]


@contextmanager
def _stoppable() -> Iterator[None]:
    """Turns the first SIGTERM or SIGINT into Stopped; later ones must not disturb the way out."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, _frame: FrameType | None) -> None:
        for each in before:
            signal.signal(each, signal.SIG_IGN)
        raise Stopped(signal.Signals(number).name)

    before: dict[signal.Signals, Any] = {
        each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)
    }
    for each in before:
        signal.signal(each, stop)
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _left(counts: Counts) -> str:
    """What a stopped run leaves behind."""
    if counts.published:
        return "the table has its new rows already"
    if counts.stage == "publishing":
        return "the table has all of its new rows or none (see updated_at). Run again to be sure"
    return "the table is as it was. Run again to load"


def _finish(code: ExitCode, message: str, counts: Counts, started: float) -> int:
    counts.enter("done")
    fields = {
        "exit_code": int(code),
        "outcome": code.name.lower(),
        "rows": counts.records - counts.rejected,
        "rejected": counts.rejected,
        "pages": counts.pages,
        "retries": counts.retries,
        "seconds": round(time.monotonic() - started, 3),
        "stage_seconds": {stage: round(seconds, 3) for stage, seconds in counts.stage_seconds.items()},
    }
    level = logging.INFO if code is ExitCode.COMPLETE else logging.ERROR
    log.log(level, "%s", message, extra={"fields": fields})
    logs.close()
    return int(code)
