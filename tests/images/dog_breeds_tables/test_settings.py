"""A wrong variable ends the job at once, by name; the environment picks the datasets."""

import pytest

from dog_breeds_tables.errors import ConfigurationError
from dog_breeds_tables.settings import Settings

PROJECT = {"GCP_PROJECT_ID": "my-project"}


def test_production_uses_the_datasets_as_they_are_named() -> None:
    found = Settings.from_environment(PROJECT)
    assert (found.raw_dataset, found.tables_dataset) == ("dog_breeds_raw", "dog_breeds")


def test_elsewhere_the_environments_name_is_behind_them_as_the_ingestion_has_it() -> None:
    found = Settings.from_environment(PROJECT | {"ENVIRONMENT": "pr-12", "CLOUD_RUN_EXECUTION": "e-1"})
    assert found.for_dbt == {
        "GCP_PROJECT_ID": "my-project",
        "BIGQUERY_LOCATION": "US",
        "RAW_DATASET": "dog_breeds_raw_pr_12",
        "TABLES_DATASET": "dog_breeds_pr_12",
        "CLOUD_RUN_EXECUTION": "e-1",
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GCP_PROJECT_ID", "no"),
        ("BIGQUERY_LOCATION", "the moon"),
        ("RAW_DATASET", "raw; drop"),
        ("TABLES_DATASET", "9"),
        ("ENVIRONMENT", "Prod!"),
        ("REPORT", "somewhere"),
        ("BIGQUERY_AWAY_S", "soon"),
    ],
)
def test_a_value_that_cannot_be_is_named_with_the_fix(name: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"{name}='.*' cannot be used: set it to"):
        Settings.from_environment(PROJECT | {name: value})


def test_a_missing_project_is_named() -> None:
    with pytest.raises(ConfigurationError, match="GCP_PROJECT_ID is not set"):
        Settings.from_environment({})
