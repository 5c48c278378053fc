"""The settings, read from the environment once and checked before anything else happens."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from dog_breeds_tables.errors import ConfigurationError

PRODUCTION = ("production", "prod")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One run's settings. `report` is where the report goes, without its ending; empty: nowhere. `away_s` is for how
    long BigQuery may be away before the run ends.
    """

    project_id: str
    location: str
    raw_dataset: str
    tables_dataset: str
    report: str
    away_s: float
    run_id: str

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> "Settings":
        """Reads and checks everything. Raises ConfigurationError for the first variable that is wrong."""

        def read(name: str, pattern: str, allowed: str, default: str | None = None) -> str:
            text = environ.get(name, "").strip() or default
            if text is None:
                raise ConfigurationError(f"{name} is not set: set it to {allowed}")
            if not re.fullmatch(pattern, text):
                raise ConfigurationError(f"{name}={text!r:.200} cannot be used: set it to {allowed}")
            return text

        environment = read(
            "ENVIRONMENT", "[a-z][a-z0-9_-]{0,49}", "production, or another name such as dev", "production"
        )
        suffix = "" if environment in PRODUCTION else f"_{environment.replace('-', '_')}"
        dataset, name = "[a-z][a-z0-9_]{0,149}", "a dataset's name: small letters, digits and underscores"
        return cls(
            project_id=read(
                "GCP_PROJECT_ID",
                "([a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]",
                "the id of the Google Cloud project that holds the datasets",
            ),
            location=read(
                "BIGQUERY_LOCATION", "[A-Za-z0-9-]+", "a BigQuery location, like US or europe-west1", "US"
            ),
            raw_dataset=read("RAW_DATASET", dataset, name, "dog_breeds_raw") + suffix,
            tables_dataset=read("TABLES_DATASET", dataset, name, "dog_breeds") + suffix,
            report=read("REPORT", "(/[\\w.~=+-]+)*", "an absolute path without its ending", ""),
            away_s=float(read("BIGQUERY_AWAY_S", "[1-9][0-9]{0,3}", "a number of seconds, 1 to 9999", "90")),
            run_id=environ.get("CLOUD_RUN_EXECUTION", "") or "by-hand",
        )

    @property
    def for_dbt(self) -> dict[str, str]:
        """What the dbt project reads from its environment."""
        return {
            "GCP_PROJECT_ID": self.project_id,
            "BIGQUERY_LOCATION": self.location,
            "RAW_DATASET": self.raw_dataset,
            "TABLES_DATASET": self.tables_dataset,
            "CLOUD_RUN_EXECUTION": self.run_id,
        }
