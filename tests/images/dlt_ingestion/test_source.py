"""Pages, retries and repetitions: each record once, whatever the API does."""

import time

import pytest

from breeds_api.records import Records
from breeds_api.server import BreedsServer
from dlt_ingestion import source
from dlt_ingestion.errors import SourceError
from dlt_ingestion.fetch import Api
from dlt_ingestion.settings import Settings
from dlt_ingestion.source import Counts

ALL = [record[2] for record in Records.load().templates]


def read(url: str, counts: Counts | None = None, **others: str) -> list[int]:
    settings = Settings.from_environment(
        {
            "DESTINATION": "duckdb",
            "DUCKDB_PATH": "/x",
            "DOG_API_BASE_URL": url,
            "RETRY_WAIT_S": "0.01",
            **others,
        }
    )
    api = Api(settings)
    try:
        found = source.batches(settings, api, counts or Counts())
        return [row_id for batch in found for row_id in batch.row_ids]
    finally:
        api.close()


@pytest.mark.parametrize(("page_size", "pages"), [(100, 1), (40, 2), (15, 3), (20, 3), (1, 41)])
def test_all_pages_are_read_until_one_is_short_or_empty(
    api: BreedsServer, page_size: int, pages: int
) -> None:
    counts = Counts()
    assert read(api.url, counts, PAGE_SIZE=str(page_size)) == ALL
    assert (counts.pages, len(api.asked)) == (pages, pages)


@pytest.mark.parametrize("page_size", [100, 40, 15])
def test_an_api_without_pagination_headers_will_do(api: BreedsServer, page_size: int) -> None:
    assert read(api.url_with("bare"), PAGE_SIZE=str(page_size)) == ALL


def test_an_api_that_grants_less_than_asked_is_read_to_its_end(api: BreedsServer) -> None:
    """Pages that are full by the API's own measure are not short."""
    assert read(api.url_with("capped-7"), PAGE_SIZE="20") == ALL


@pytest.mark.parametrize("page_size", [7, 40])
def test_an_api_that_ignores_page_neither_loops_nor_doubles(
    api: BreedsServer, page_size: int, caplog: pytest.LogCaptureFixture
) -> None:
    counts = Counts()
    assert read(api.url_with("first-page"), counts, PAGE_SIZE=str(page_size)) == ALL[:page_size]
    assert counts.pages == 2
    assert "ignore `page`" in caplog.text


@pytest.mark.parametrize("page_size", [7, 40, 100])
def test_an_api_that_ignores_limit_and_page_is_read_once(api: BreedsServer, page_size: int) -> None:
    assert read(api.url_with("no-paging"), PAGE_SIZE=str(page_size)) == ALL


def test_one_long_array_is_read_as_a_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "BATCH_ROWS", 500)
    with BreedsServer(Records.load(repeat=5_000)) as server:
        settings = Settings.from_environment(
            {"DESTINATION": "duckdb", "DUCKDB_PATH": "/x", "DOG_API_BASE_URL": server.url_with("no-paging")}
        )
        api = Api(settings)
        sizes = [len(batch.row_ids) for batch in source.batches(settings, api, Counts())]
        api.close()
    assert sum(sizes) == 5_000
    assert max(sizes) < 2_500


@pytest.mark.parametrize("fault", ["500-2", "503-1", "reset-2", "truncated-1", "blank-1"])
def test_what_passes_is_tried_again(api: BreedsServer, fault: str) -> None:
    counts = Counts()
    assert read(api.url_with(fault), counts) == ALL
    assert counts.retries == int(fault[-1])


@pytest.mark.parametrize(("fault", "least_s"), [("429-1", 1.0), ("429date-1", 0.9)])
def test_retry_after_is_waited_for(api: BreedsServer, fault: str, least_s: float) -> None:
    """Asking again too early may get a caller banned."""
    started = time.monotonic()
    assert read(api.url_with(fault)) == ALL
    assert time.monotonic() - started >= least_s


def test_a_retry_after_of_a_day_is_not_waited_for(api: BreedsServer) -> None:
    with pytest.raises(SourceError, match=r"86400 seconds, more than RETRY_AFTER_MAX_S=300"):
        read(api.url_with("429day"))


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("500", "500 .* gave up after 3 attempts"),
        ("truncated", "JSON is broken, the array breaks off .* gave up after 3"),
        ("cut-0", "connection failed .* gave up after 3"),
        ("html", "an HTML page .*text/html"),
        ("object", "expected a JSON array .*please upgrade"),
        ("scalar", "expected a JSON array .*42"),
        ("empty", "no records .*keeps what it has"),
    ],
)
def test_what_does_not_pass_ends_the_run(api: BreedsServer, fault: str, said: str) -> None:
    with pytest.raises(SourceError, match=said):
        read(api.url_with(fault), HTTP_ATTEMPTS="3")


def test_a_page_that_breaks_off_goes_on_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """A retry must not pass on a record twice, however late in a long array the connection breaks."""
    with BreedsServer(Records.load(repeat=20_000)) as server:
        plain = server.faults.answer
        asked = iter(["cut-0"])
        monkeypatch.setattr(
            server.faults,
            "answer",
            lambda fault, records, request: plain(next(asked, fault), records, request),
        )
        counts = Counts()
        found = read(server.url, counts, PAGE_SIZE="10000")
    assert len(found) == len(set(found)) == 20_000
    assert counts.retries == 1


def test_records_that_change_between_attempts_are_not_mixed(api: BreedsServer) -> None:
    settings = Settings.from_environment(
        {"DESTINATION": "duckdb", "DUCKDB_PATH": "/x", "DOG_API_BASE_URL": api.url}
    )
    client = Api(settings)
    with pytest.raises(SourceError, match="changed between two attempts"):
        list(source._attempt(settings, client, 0, source._Page(100, 0), 3, b'{"id": 99}'))
    client.close()
