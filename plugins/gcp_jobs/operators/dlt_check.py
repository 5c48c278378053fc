"""DltDatasetCheckOperator: checks what a load left behind, by reading the destination as dlt does."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException

from gcp_jobs.clients import Access, credentials
from gcp_jobs.errors import DataCheckFailed, GcpJobsError, SettingsError
from gcp_jobs.operators.rendering import RendersTemplates

if TYPE_CHECKING:
    from airflow.sdk import Context


class DltDatasetCheckOperator(RendersTemplates, BaseOperator):
    """
    Fails unless the table holds rows and the share of rejected records is small enough.

    XCom gets {"table", "rows", "rejected", "rejected_share"}; every asset in `outlets` carries the same as extra.

    :param destination: "bigquery" or "duckdb". (templated)
    :param dataset: the dataset's name. (templated)
    :param table: the table that must hold rows. (templated)
    :param rejected_table: the table of records that could not be read; unset: none. (templated)
    :param max_rejected_share: largest share of rejected among all records, 0 to 1. (templated)
    :param min_rows: least number of rows. (templated)
    :param duckdb_path: absolute path of the DuckDB file. (templated)
    :param project_id: BigQuery's project; unset: the connection's. (templated)
    :param location: BigQuery's location. (templated)
    :param gcp_conn_id: Airflow connection to Google Cloud, for BigQuery. (templated)
    :param impersonation_chain: service account to impersonate, or a chain that ends with it. (templated)
    """

    template_fields: Sequence[str] = (
        "destination", "dataset", "table", "rejected_table", "max_rejected_share", "min_rows", "duckdb_path",
        "project_id", "location", "gcp_conn_id", "impersonation_chain",
    )  # fmt: skip
    ui_color = "#d9f2d9"

    def __init__(
        self,
        *,
        destination: Literal["bigquery", "duckdb"] | str,
        dataset: str,
        table: str,
        rejected_table: str | None = None,
        max_rejected_share: float | str = 0.0,
        min_rows: int | str = 1,
        duckdb_path: str | None = None,
        project_id: str | None = None,
        location: str | None = None,
        gcp_conn_id: str = "google_cloud_default",
        impersonation_chain: str | Sequence[str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.destination = destination
        self.dataset = dataset
        self.table = table
        self.rejected_table = rejected_table
        self.max_rejected_share = max_rejected_share
        self.min_rows = min_rows
        self.duckdb_path = duckdb_path
        self.project_id = project_id
        self.location = location
        self.gcp_conn_id = gcp_conn_id
        self.impersonation_chain = impersonation_chain

    def execute(self, context: "Context") -> dict[str, Any]:
        """Count, judge, and tell the assets."""
        try:
            found = self._judge(*self._counts())
        except GcpJobsError as error:
            if error.permanent:
                raise AirflowFailException(str(error)) from error
            raise
        for asset in self.outlets:
            context["outlet_events"][asset].extra = found
        self.log.info(
            "%s holds %d rows; %d records were rejected", self._place, found["rows"], found["rejected"]
        )
        return found

    @property
    def _place(self) -> str:
        where = self.duckdb_path if self.destination == "duckdb" else self.project_id
        return f"{self.destination} {where or ''}:{self.dataset}.{self.table}".replace(" :", ":")

    def _judge(self, rows: int, rejected: int) -> dict[str, Any]:
        share = rejected / (rows + rejected) if rows + rejected else 0.0
        if rows < int(self.min_rows):
            raise DataCheckFailed(
                f"{rows} rows landed, at least {self.min_rows} are wanted",
                where=self._place,
                todo="See the load's log: what did the source answer?",
            )
        if share > float(self.max_rejected_share):
            raise DataCheckFailed(
                f"{rejected} of {rows + rejected} records were rejected ({share:.1%}, allowed "
                f"{float(self.max_rejected_share):.1%})",
                where=self._place,
                todo=f"Their reasons are in {self.rejected_table}.",
            )
        return {"table": self._place, "rows": rows, "rejected": rejected, "rejected_share": round(share, 6)}

    def _counts(self) -> tuple[int, int]:
        if self.destination == "duckdb":
            return self._counts_in_duckdb()
        if self.destination == "bigquery":
            return self._count_both(self._bigquery())
        raise SettingsError(
            f"destination={self.destination!r} is unknown",
            where=f"task {self.task_id}",
            todo="Use bigquery or duckdb.",
        )

    def _counts_in_duckdb(self) -> tuple[int, int]:
        import dlt
        import duckdb

        if not self.duckdb_path:
            raise SettingsError(
                "duckdb_path is not set",
                where=f"task {self.task_id}",
                todo="Set GCP_JOBS_INGESTION_DUCKDB_PATH.",
            )
        if not Path(self.duckdb_path).is_file():
            raise DataCheckFailed("nothing has landed: the file does not exist", where=self.duckdb_path)
        try:
            connection = duckdb.connect(self.duckdb_path, read_only=True)
        except duckdb.Error as error:
            raise DataCheckFailed(f"the file cannot be read: {error}", where=self.duckdb_path) from error
        with connection:
            return self._count_both(dlt.destinations.duckdb(connection))

    def _bigquery(self) -> Any:
        import dlt
        from dlt.common.configuration.specs import GcpServiceAccountCredentials
        from dlt.common.configuration.specs.gcp_credentials import GcpDefaultCredentials

        google, project = credentials(Access.of(self.gcp_conn_id, self.impersonation_chain))
        ours = GcpServiceAccountCredentials()
        # as `credentials=` itself dlt refuses a native object: InvalidGoogleNativeCredentialsType
        GcpDefaultCredentials.parse_native_representation(ours, google)
        ours.project_id = self.project_id or project or ""
        return dlt.destinations.bigquery(
            credentials=ours, project_id=ours.project_id, location=self.location or "US"
        )

    def _count_both(self, destination: Any) -> tuple[int, int]:
        import dlt
        from dlt.common.exceptions import DltException

        dataset = dlt.dataset(destination, self.dataset)
        try:
            rows = _count(dataset, self.table)
            return rows, _count(dataset, self.rejected_table) if self.rejected_table else 0
        except DltException as error:
            raise DataCheckFailed(
                f"the tables cannot be read: {error}",
                where=self._place,
                todo="Did the load run, and may the connection's account read the dataset?",
            ) from error


def _count(dataset: Any, table: str) -> int:
    (row,) = dataset.row_counts(table_names=[table]).fetchall()
    return int(row[1])
