"""Whether BigQuery answers, looked at beside the run: one that waits for a BigQuery that is away ends in good time.

dbt and Google's client try a call again within one another, together for longer than the job may run:
https://docs.cloud.google.com/python/docs/reference/bigquery/latest/google.cloud.bigquery.retry
"""

import logging
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from google.api_core.exceptions import GoogleAPICallError, ServerError
from google.auth.exceptions import DefaultCredentialsError, TransportError
from google.cloud import bigquery
from requests.exceptions import RequestException

from dog_breeds_tables.errors import Away, WarehouseError
from dog_breeds_tables.settings import Settings

log = logging.getLogger(__name__)
LOOKS = 10  # as often it is asked within the time that it may be away


class Watch:
    """Asks until told that it is over; raises Away in the main thread once nothing has come back for `away_s`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._over = threading.Event()
        self._why = ""

    def look(self) -> None:
        """The loop; meant for a thread of its own."""
        try:
            client = bigquery.Client(project=self._settings.project_id)
        except DefaultCredentialsError:
            return  # dbt will say so
        answered, pause = time.monotonic(), self._settings.away_s / LOOKS
        while not self._over.wait(pause):
            try:
                next(iter(client.list_datasets(max_results=1, retry=None, timeout=max(pause, 1))), None)
            except (RequestException, TransportError, ServerError) as error:
                self._why = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
                if time.monotonic() - answered > self._settings.away_s and not self._over.is_set():
                    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGALRM)  # wakes it, too
                    return
                continue
            except GoogleAPICallError:
                pass  # a refusal is an answer
            answered = time.monotonic()

    def strike(self, _number: int, _frame: FrameType | None) -> None:
        """What the signal calls, in the main thread."""
        if not self._over.is_set():
            raise Away(self._why)

    def end(self) -> None:
        self._over.set()


@contextmanager
def answering(settings: Settings) -> Iterator[None]:
    """Ends what runs within once BigQuery has been away for `settings.away_s`. Raises WarehouseError."""
    watch = Watch(settings)
    signal.signal(signal.SIGALRM, watch.strike)
    threading.Thread(target=watch.look, name="watch", daemon=True).start()
    try:
        yield
    except Away as away:
        raise WarehouseError(
            f"BigQuery has not answered for {settings.away_s:g} s in project {settings.project_id} ({away}). Run again "
            "when it does; a table that could not be made is as it was"
        ) from away
    finally:
        watch.end()
        signal.signal(signal.SIGALRM, signal.SIG_IGN)
