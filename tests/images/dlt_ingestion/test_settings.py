"""Settings: defaults of the contract, and one clear sentence for whatever is wrong."""

import pytest

from dlt_ingestion.errors import ConfigurationError
from dlt_ingestion.settings import Destination, Settings

BIGQUERY = {"GCP_PROJECT_ID": "my-project"}
DUCKDB = {"DESTINATION": "duckdb", "DUCKDB_PATH": "/data/b.duckdb"}


def test_a_project_is_all_that_production_needs() -> None:
    settings = Settings.from_environment(BIGQUERY)
    assert settings.destination is Destination.BIGQUERY
    assert settings.url == "https://api.thedogapi.com/v1/breeds"
    assert settings.dataset == "dog_breeds_raw"
    assert settings.location == "US"
    assert settings.max_rejected_share == 0.05


@pytest.mark.parametrize(
    ("environment", "dataset"),
    [
        ("production", "dog_breeds_raw"),
        ("prod", "dog_breeds_raw"),
        ("dev", "dog_breeds_raw_dev"),
        ("pr-12", "dog_breeds_raw_pr_12"),
    ],
)
def test_the_environment_names_the_dataset(environment: str, dataset: str) -> None:
    assert Settings.from_environment(BIGQUERY | {"ENVIRONMENT": environment}).dataset == dataset


def test_slashes_between_address_and_endpoint_do_not_matter() -> None:
    settings = Settings.from_environment(
        DUCKDB | {"DOG_API_BASE_URL": "http://127.0.0.1:1/v1/", "DOG_API_ENDPOINT": "/breeds/"}
    )
    assert settings.url == "http://127.0.0.1:1/v1/breeds"


@pytest.mark.parametrize(
    ("name", "value", "fix"),
    [
        ("DESTINATION", "snowflake", "bigquery or duckdb"),
        ("DUCKDB_PATH", "breeds.duckdb", "absolute path"),
        ("DUCKDB_PATH", "/data/", "absolute path"),
        ("DUCKDB_MEMORY_LIMIT", "lots", "like 96MB"),
        ("GCP_PROJECT_ID", "My Project", "id of the Google Cloud project"),
        ("BIGQUERY_LOCATION", "the moon", "like US"),
        ("BIGQUERY_DATASET", "dog-breeds", "small letters"),
        ("ENVIRONMENT", "über", "production"),
        ("DOG_API_BASE_URL", "api.thedogapi.com", "https://"),
        ("DOG_API_BASE_URL", "ftp://api", "https://"),
        ("DOG_API_BASE_URL", "https://user:secret@api.thedogapi.com", "no user name"),
        ("DOG_API_BASE_URL", "https://api.thedogapi.com?key=1", "no query"),
        ("DOG_API_BASE_URL", "https://api:port", "https://"),
        ("DOG_API_ENDPOINT", "breeds?limit=1", "like breeds"),
        ("PAGE_SIZE", "0", "from 1 to 10000"),
        ("PAGE_SIZE", "many", "from 1 to 10000"),
        ("MAX_REJECTED_SHARE", "5%", "from 0 to 1"),
        ("MAX_REJECTED_SHARE", "nan", "from 0 to 1"),
        ("MAX_REJECTED_SHARE", "1.5", "from 0 to 1"),
        ("HTTP_TIMEOUT_S", "0", "from 0.1"),
        ("HTTP_ATTEMPTS", "0", "from 1"),
        ("RETRY_WAIT_S", "-1", "from 0"),
        ("RETRY_AFTER_MAX_S", "inf", "to 1500"),
    ],
)
def test_a_wrong_value_is_named_with_its_fix(name: str, value: str, fix: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^{name}=") as caught:
        Settings.from_environment(BIGQUERY | DUCKDB | {"DESTINATION": "bigquery", name: value})
    assert value in str(caught.value)
    assert fix in str(caught.value)


@pytest.mark.parametrize(
    ("environ", "name"), [({}, "GCP_PROJECT_ID"), ({"DESTINATION": "duckdb"}, "DUCKDB_PATH")]
)
def test_what_is_missing_is_named(environ: dict[str, str], name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^{name} is not set: set it to"):
        Settings.from_environment(environ)


def test_a_wrong_key_is_not_shown() -> None:
    with pytest.raises(ConfigurationError, match="DOG_API_KEY=<hidden>") as caught:
        Settings.from_environment(BIGQUERY | {"DOG_API_KEY": "s3cret\x00 key"})
    assert "s3cret" not in str(caught.value)


def test_the_key_is_in_no_representation() -> None:
    assert "s3cret" not in repr(Settings.from_environment(BIGQUERY | {"DOG_API_KEY": "s3cret"}))
