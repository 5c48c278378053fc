"""What the API's answers mean: try again, give up, or fix the settings."""

import time
from email.utils import formatdate

import pytest

from breeds_api.server import BreedsServer
from dlt_ingestion.errors import ConfigurationError, IngestionError, SourceError, TransientError
from dlt_ingestion.fetch import Api, retry_after
from dlt_ingestion.settings import Settings


def settings(url: str, **others: str) -> Settings:
    return Settings.from_environment(
        {"DESTINATION": "duckdb", "DUCKDB_PATH": "/x", "DOG_API_BASE_URL": url, **others}
    )


def read(url: str, page: int = 0, **others: str) -> bytes:
    api = Api(settings(url, **others))
    try:
        with api.page(page) as body:
            return b"".join(body.chunks)
    finally:
        api.close()


@pytest.mark.parametrize(
    ("fault", "error", "said"),
    [
        ("500", TransientError, "500 Internal Server Error"),
        ("503", TransientError, "503"),
        ("429", TransientError, "429"),
        ("reset", TransientError, "connection"),
        ("cut-0", TransientError, "connection"),
        ("404", ConfigurationError, "DOG_API_ENDPOINT"),
        ("redirect", ConfigurationError, "has moved"),
    ],
)
def test_failures_say_where_and_whether_they_may_pass(
    api: BreedsServer, fault: str, error: type[IngestionError], said: str
) -> None:
    with pytest.raises(error, match=said) as caught:
        read(api.url_with(fault))
    assert f"{api.url_with(fault)}/breeds, page 0" in str(caught.value)


def test_a_request_that_the_api_rejects_is_a_source_error(api: BreedsServer) -> None:
    with pytest.raises(SourceError, match="does not accept") as caught:
        read(api.url.replace("/v1", "/faults/gremlins/v1"))
    assert not isinstance(caught.value, TransientError)


def test_an_answer_that_does_not_come_in_time_may_pass(api: BreedsServer) -> None:
    with pytest.raises(TransientError, match=r"HTTP_TIMEOUT_S=0\.1"):
        read(api.url_with("slow-1"), HTTP_TIMEOUT_S="0.1")


def test_the_key_goes_with_the_request_and_its_lack_is_explained() -> None:
    with BreedsServer(api_key="k3y") as server:
        assert read(server.url, DOG_API_KEY="k3y").startswith(b"[")
        with pytest.raises(ConfigurationError, match="DOG_API_KEY from a secret"):
            read(server.url)
        with pytest.raises(ConfigurationError, match="valid key") as caught:
            read(server.url, DOG_API_KEY="wr0ng")
    assert "wr0ng" not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "expected"), [("17", 17.0), ("0", 0.0), ("", None), ("soon", None), ("-3", None)]
)
def test_retry_after_in_seconds(value: str, expected: float | None) -> None:
    assert retry_after(value) == expected


def test_retry_after_as_a_date() -> None:
    soon = retry_after(formatdate(time.time() + 30, usegmt=True))
    assert soon is not None
    assert 28 <= soon <= 30
    assert retry_after(formatdate(time.time() - 30, usegmt=True)) == 0
