"""Every setting of gcp_jobs, typed; the only module that reads the environment.

`python -m gcp_jobs.settings` lists them with their types, defaults and what they mean.
"""

import os
import sys
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from gcp_jobs import setting_values as values
from gcp_jobs.errors import SettingsError

PREFIX = "GCP_JOBS_"
_CHECKOUT = Path(__file__).resolve().parents[2]


class Settings(BaseSettings):
    """All settings. A wrong value fails at start and says name, value and what is allowed."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True, populate_by_name=True)

    # where
    environment: Literal["local", "dev", "stg", "prod"] = Field(
        "local",
        description="Picks the overlay of job templates; in local and dev the operator writes job definitions.",
    )
    project: values.Project = Field(
        values.LOCAL_PROJECT,
        pattern=r"^([a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]$",
        validate_default=True,
        description="Google Cloud project of jobs that name none.",
    )
    region: values.Region = Field("europe-west1", description="Region of jobs that name none.")
    regions: values.Regions = Field(
        (), description="Regions that jobs may use, separated by commas; none: any."
    )
    gcp_conn_id: str = Field("google_cloud_default", description="Airflow connection of our own DAGs.")
    # who
    job_service_account: values.Optional = Field(
        None, description="Identity of jobs that name none; unset: the project's default compute account."
    )
    airflow_service_account: str = Field(
        "airflow@local-project.iam.gserviceaccount.com",
        description="Identity that Airflow shows to the emulator where no impersonation_chain names another.",
    )
    # what jobs are made of
    template_folders: values.Folders = Field(
        (_CHECKOUT / "include" / "job_templates",),
        description=f"Folders with job templates, separated by {os.pathsep!r}; the first that has the file wins.",
    )
    registry: str = Field(
        "europe-west1-docker.pkg.dev/local-project/jobs",
        min_length=1,
        description="Where job images are pulled from.",
    )
    image_tag: str = Field("1", pattern=r"^[\w][\w.-]{0,127}$", description="Tag of our own job images.")
    secret_prefix: str = Field("", description="Put before the names of secrets in our own templates.")
    kms_key: values.Optional = Field(
        None, description="Customer-managed key for job definitions that name none."
    )
    vpc_connector: values.Optional = Field(None, description="VPC connector of jobs that name no network.")
    vpc_egress: Literal["private-ranges-only", "all-traffic"] = Field(
        "private-ranges-only", description="Traffic that goes through vpc_connector."
    )
    # limits
    log_reads_per_minute: int = Field(
        30, ge=1, description="Cloud Logging reads by this process a minute; Google's quota is 60 a project."
    )
    log_topic: values.TopicIfAny = Field(
        None,
        description="Pub/Sub topic of a log sink that takes jobs' entries; needed where logs_by is sink.",
    )
    logs_by: values.LogSource = Field(
        "tail",
        description="How a triggerer gets the log lines of all its jobs. tail: one live tail a project, of which "
        "Google allows 10; sink: from log_topic; lists: entries.list for many jobs at once, the slowest.",
    )
    log_lines_per_job: int = Field(
        10_000, ge=1, description="Lines of a job that its task log takes at once, and again in each hour."
    )
    log_settle_seconds: float = Field(
        2.0, ge=0, le=60, description="How long a job's end waits for the last lines of its log."
    )
    api_patience_seconds: int = Field(
        300, ge=0, description="How long starting a job goes on through 429, 500, 503 and 504 answers."
    )
    # the record of what ran
    ledger_conn_id: values.Optional = Field(
        "gcp_jobs_ledger",
        description="Airflow connection (postgres or sqlite) of the ledger. Where Airflow does not know it: in local a "
        "SQLite file in AIRFLOW_HOME, elsewhere no ledger. Empty: none.",
    )
    airflow_home: values.OwnFolder = Field(
        Path("~/airflow"),
        validation_alias="AIRFLOW_HOME",
        validate_default=True,
        description="Airflow's own; the embedded ledger lies there.",
    )
    # what failed, and what nobody waits for
    dead_letter_subscription: values.SubscriptionIfAny = Field(
        None,
        description="Subscription (name, or projects/P/subscriptions/S) of the dead-letter topic that the deployment's "
        "subscriptions forward poison messages to; DAG dead_letters lists what lies there.",
    )
    # jobs that events start
    event_rule_folders: values.Folders = Field(
        (_CHECKOUT / "include" / "event_rules",),
        description=f"Folders with event rules, separated by {os.pathsep!r}; of files of one name the first counts.",
    )
    event_subscription: values.Subscription = Field(
        "job-events",
        description="Subscription (name, or projects/P/subscriptions/S) of event rules that name none.",
    )
    event_dead_letter_topic: values.Topic = Field(
        "job-events-dead-letter",
        description="Topic (name, or projects/P/topics/T) for events that start nothing, each with its reason.",
    )
    events_per_minute: int = Field(
        1_200,
        ge=1,
        le=60_000,
        description="How many events a triggerer takes a minute and subscription; Batch's quota is 6,000 jobs a minute "
        "and region. The others wait in Pub/Sub.",
    )
    events_in_hand: int = Field(
        2_000,
        ge=1,
        le=100_000,
        description="How many events a triggerer may hold that are taken but not acknowledged yet.",
    )
    reconcile_schedule: values.CronIfAny = Field(
        "0 * * * *", description="Cron expression of reconcile, in UTC; empty: on demand only."
    )
    reconcile_places: values.Places = Field(
        (),
        description="Where reconcile looks for jobs, as project/region, separated by commas, beside the places that "
        "the ledger knows of; none: the settings' own project, and its region or regions.",
    )
    # waiting for jobs
    status_topic: values.TopicIfAny = Field(
        None,
        description="Pub/Sub topic (name, or projects/P/topics/T) that jobs tell their states to; "
        "unset: every wait reads its job's state again and again.",
    )
    status_subscription: values.SubscriptionIfAny = Field(
        None,
        description="Subscription made beforehand, one a triggerer ({host} stands for the host's name); "
        "unset: each process makes one of its own and removes it.",
    )
    wait_by: Literal["events", "lists", "reads"] = Field(
        "events",
        description="How waits learn of an end. events: from status_topic where it is set, else by reads; "
        "lists: without Pub/Sub, one list a region; reads: each job's state again and again.",
    )
    sweep_seconds: float = Field(
        600,
        ge=0.1,
        description="How often waits that listen to events, and live logs, look whether anything was lost.",
    )
    list_seconds: float = Field(15, ge=0.1, description="How often waits that live on lists ask for them.")
    job_reads_per_minute: int = Field(
        10_000,
        ge=1,
        description="Reads of jobs by this process a minute and region; Google's quota for Batch is 15,000.",
    )
    # the dog breeds ingestion
    ingestion_schedule: values.Cron = Field(
        "0 2 * * 1", description="Cron expression of dog_breeds_ingestion."
    )
    ingestion_timezone: values.TimeZone = Field(
        "UTC", description="Time zone that the cron expression is read in."
    )
    ingestion_retries: values.RetriesIfAny = Field(
        None,
        description="Airflow's retries of its tasks; unset: 2, and 0 in local, where somebody waits for the error.",
    )
    ingestion_destination: Literal["bigquery", "duckdb"] = Field("bigquery", description="Where breeds land.")
    ingestion_duckdb_path: values.Optional = Field(
        None, description="Absolute path of the DuckDB file; needed where the destination is duckdb."
    )
    ingestion_dataset: str = Field(
        "dog_breeds_raw", pattern=r"^\w+$", description="Dataset that breeds land in."
    )
    ingestion_api_base_url: values.Url = Field("https://api.thedogapi.com/v1", description="The dog API.")
    tables_dataset: str = Field(
        "dog_breeds", pattern=r"^[a-z][a-z0-9_]*$", description="Dataset of dog_breeds_tables."
    )
    reports_bucket: values.Optional = Field(
        None, description="Bucket that jobs leave their reports in, by a mount; unset: no reports."
    )
    bigquery_location: str = Field("US", min_length=1, description="Location of BigQuery datasets.")
    # the embedded Google Cloud, in Google's own way of naming emulators
    cloud_run_emulator_host: values.HostPort = Field(
        None, validation_alias="CLOUD_RUN_EMULATOR_HOST", description="host:port of a local Cloud Run."
    )
    batch_emulator_host: values.HostPort = Field(
        None, validation_alias="BATCH_EMULATOR_HOST", description="host:port of a local Batch."
    )
    pubsub_emulator_host: values.HostPort = Field(
        None, validation_alias="PUBSUB_EMULATOR_HOST", description="host:port of a local Pub/Sub."
    )
    logging_emulator_host: values.HostPort = Field(
        None, validation_alias="LOGGING_EMULATOR_HOST", description="host:port of a local Cloud Logging."
    )
    monitoring_emulator_host: values.HostPort = Field(
        None,
        validation_alias="MONITORING_EMULATOR_HOST",
        description="host:port of a local Cloud Monitoring.",
    )
    bigquery_emulator_host: values.EmulatorUrl = Field(
        None,
        validation_alias="BIGQUERY_EMULATOR_HOST",
        description="Address of a local BigQuery, with http://.",
    )
    gcp_emulator_url: values.UrlIfAny = Field(
        None, validation_alias="GCP_EMULATOR_URL", description="The emulator's REST address and pages."
    )

    default_deferrable: bool | None = Field(
        None,
        validation_alias="AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE",
        description="Airflow's own; where neither this nor airflow.cfg sets it, our operators defer.",
    )

    @property
    def retries(self) -> int:
        """Airflow's retries of the ingestion's tasks."""
        if self.ingestion_retries is not None:
            return self.ingestion_retries
        return 0 if self.environment == "local" else 2

    @property
    def dataset_suffix(self) -> str:
        """What the ingestion container puts behind the dataset's name: nothing in production."""
        return "" if self.environment == "prod" else f"_{self.environment}"

    @property
    def status_topic_name(self) -> str:
        """Full name of the status topic, empty where there is none."""
        return self._topic(self.status_topic)

    @property
    def log_topic_name(self) -> str:
        """Full name of the topic of the log sink, empty where there is none."""
        return self._topic(self.log_topic)

    @property
    def dead_letter_subscription_name(self) -> str:
        """Full name of the dead-letter subscription, empty where there is none."""
        name = self.dead_letter_subscription
        return f"projects/{self.project}/subscriptions/{name}" if name and "/" not in name else name or ""

    @property
    def event_subscription_name(self) -> str:
        """Full name of the subscription of event rules that name none."""
        return self.subscription_name(self.event_subscription)

    @property
    def event_dead_letter_topic_name(self) -> str:
        """Full name of the topic for events that start nothing."""
        return self._topic(self.event_dead_letter_topic)

    def subscription_name(self, name: str) -> str:
        """Give a subscription's full name."""
        return name if "/" in name else f"projects/{self.project}/subscriptions/{name}"

    @property
    def places(self) -> tuple[tuple[str, str], ...]:
        """Projects and regions where reconcile looks."""
        own = tuple(f"{self.project}/{region}" for region in self.regions or (self.region,))
        return tuple((p, r) for p, _, r in (place.partition("/") for place in self.reconcile_places or own))

    def _topic(self, name: str | None) -> str:
        return f"projects/{self.project}/topics/{name}" if name and "/" not in name else name or ""

    @property
    def manage_jobs(self) -> bool:
        """Whether the operator writes job definitions: only where no deployment does."""
        return self.environment in ("local", "dev")


def variable(name: str) -> str:
    """Name of the environment variable behind a setting."""
    alias = Settings.model_fields[name].validation_alias if name in Settings.model_fields else None
    return alias if isinstance(alias, str) else f"{PREFIX}{name.upper()}"


@cache
def settings() -> Settings:
    """Read the environment once. Raises SettingsError for a value that is not allowed."""
    try:
        return Settings()  # type: ignore[call-arg]
    except ValidationError as error:
        raise SettingsError(
            "; ".join(_explain(dict(e)) for e in error.errors()),
            todo="`python -m gcp_jobs.settings` lists all settings.",
        ) from error


def _explain(error: dict[str, Any]) -> str:
    where = str(error["loc"][0]) if error["loc"] else ""
    name = where if where.isupper() else variable(where)
    allowed = str(error["msg"]).removeprefix("Value error, ")
    return f"{name}={error['input']!r}: {allowed}"


def table(here: Settings) -> str:
    """List every setting: variable, type, default, meaning, and its value where that is another."""
    schema = Settings.model_json_schema()["properties"]
    rows = []
    for name, field in Settings.model_fields.items():
        value = getattr(here, name)
        now = "" if value == field.default else f", now {value!r}"
        kind = _kind(schema[variable(name) if variable(name) in schema else name])
        rows.append(f"{variable(name)}\n    {field.description}\n    {kind}, default {field.default!r}{now}")
    return "\n".join(rows)


def _kind(schema: dict[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(_kind(each) for each in schema["anyOf"] if each.get("type") != "null")
    if "enum" in schema:
        return f"one of {', '.join(schema['enum'])}"
    return str(schema.get("type", "text"))


def unknown() -> list[str]:
    """Variables that look like settings and are none, each with the nearest that is one."""
    known = [variable(name) for name in Settings.model_fields]
    strange = sorted(name for name in os.environ if name.startswith(PREFIX) and name not in known)
    near = {name: get_close_matches(name, known, 1) for name in strange}
    return [
        f"{name} is no setting" + (f"; did you mean {hit[0]}?" if hit else "") for name, hit in near.items()
    ]


def main() -> int:
    """Print all settings with their values; 1 and what is wrong when one is not allowed or not known."""
    try:
        print(table(settings()))
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 1
    for line in (strange := unknown()):
        print(line, file=sys.stderr)
    return 1 if strange else 0


if __name__ == "__main__":
    sys.exit(main())
