"""The API over HTTP: pages, one array, keys, and the ways in which it misbehaves."""

import json
import time
from email.utils import parsedate_to_datetime

import httpx
import pytest

from breeds_api.faults import BENT, SPOILT, parse
from breeds_api.records import Records
from breeds_api.server import BreedsServer


@pytest.mark.parametrize(("limit", "page", "expected"), [(15, 0, 15), (15, 2, 10), (15, 3, 0), (100, 0, 40)])
def test_pages_are_counted_from_zero_and_end(limit: int, page: int, expected: int) -> None:
    with BreedsServer() as server:
        answer = httpx.get(f"{server.url}/breeds", params={"limit": limit, "page": page})
    assert len(answer.json()) == expected
    assert answer.headers["pagination-count"] == "40"
    assert answer.headers["pagination-limit"] == str(limit)


def test_without_a_limit_everything_comes_as_one_array() -> None:
    with BreedsServer(Records.load(repeat=3_000)) as server:
        answer = httpx.get(f"{server.url}/breeds")
    assert answer.headers["transfer-encoding"] == "chunked"
    assert len(answer.json()) == 3_000


@pytest.mark.parametrize(("key", "status"), [(None, 401), ("wrong", 403), ("right", 200)])
def test_a_key_is_asked_for_when_there_is_one(key: str | None, status: int) -> None:
    with BreedsServer(api_key="right") as server:
        headers = {"x-api-key": key} if key else {}
        assert httpx.get(f"{server.url}/breeds?limit=1", headers=headers).status_code == status


def test_other_paths_and_senseless_questions_are_refused() -> None:
    with BreedsServer() as server:
        assert httpx.get(f"{server.url}/cats").status_code == 404
        assert httpx.get(f"{server.url}/breeds?limit=many").status_code == 400


def test_a_fault_in_the_path_strikes_as_often_as_it_says() -> None:
    with BreedsServer() as server:
        url = f"{server.url_with('500-2')}/breeds?limit=5"
        assert [httpx.get(url).status_code for _ in range(3)] == [500, 500, 200]
        assert httpx.get(f"{server.url}/breeds?limit=5").status_code == 200


def test_a_fault_for_the_whole_server_needs_no_path() -> None:
    with BreedsServer(fault="empty") as server:
        assert httpx.get(f"{server.url}/breeds?limit=5").json() == []


def test_retry_after_comes_in_both_spellings() -> None:
    with BreedsServer() as server:
        seconds = httpx.get(f"{server.url_with('429')}/breeds").headers["retry-after"]
        date = httpx.get(f"{server.url_with('429date')}/breeds").headers["retry-after"]
    assert seconds == "1"
    assert 0 < parsedate_to_datetime(date).timestamp() - time.time() < 5


@pytest.mark.parametrize("fault", ["reset", "cut-0"])
def test_a_lost_connection_is_really_lost(fault: str) -> None:
    with BreedsServer() as server, pytest.raises(httpx.TransportError):
        httpx.get(f"{server.url_with(fault)}/breeds?limit=5")


def test_truncated_and_foreign_bodies_are_no_json() -> None:
    with BreedsServer() as server:
        for fault in ("truncated", "html", "blank"):
            body = httpx.get(f"{server.url_with(fault)}/breeds").content
            with pytest.raises(ValueError, match=r"Expecting|Unterminated"):
                json.loads(body)


def test_an_api_may_ignore_page_or_limit_or_grant_less() -> None:
    with BreedsServer() as server:
        first = httpx.get(f"{server.url_with('first-page')}/breeds?limit=5&page=3").json()
        everything = httpx.get(f"{server.url_with('no-paging')}/breeds?limit=5").json()
        capped = httpx.get(f"{server.url_with('capped-3')}/breeds?limit=5")
    assert [breed["id"] for breed in first] == [1, 2, 3, 5, 6]
    assert len(everything) == 40
    assert (len(capped.json()), capped.headers["pagination-limit"]) == (3, "3")


@pytest.mark.parametrize("fault", ["gremlins", "500-x", "-3", "gremlins-2"])
def test_an_unknown_fault_is_refused_with_those_known(fault: str) -> None:
    with pytest.raises(LookupError, match="first-page"):
        BreedsServer(fault=fault)


def test_every_fault_can_be_asked_for() -> None:
    assert all(parse(name) == (name, None) for name in [*SPOILT, *BENT])
