"""What the tables hold after a run, asked of BigQuery."""

from collections.abc import Sequence
from dataclasses import dataclass

from google.api_core.exceptions import GoogleAPICallError, NotFound
from google.auth.exceptions import GoogleAuthError
from google.cloud import bigquery

from dog_breeds_tables.errors import WarehouseError
from dog_breeds_tables.settings import Settings

COLUMNS = ("name", "breed_group", "temperament", "life_span_max_years", "weight_max_kg", "origin")
Bars = Sequence[tuple[str, float]]


@dataclass(frozen=True, slots=True)
class Figures:
    """`rows` by table (None: it is not there yet); shares of nulls by column; `charts` by title; reasons and counts."""

    rows: dict[str, int | None]
    null_rates: dict[str, float]
    charts: dict[str, Bars]
    reasons: Bars


class Tables:
    """The datasets of `settings`, to be counted."""

    def __init__(self, settings: Settings) -> None:
        self._tables = f"`{settings.project_id}.{settings.tables_dataset}"
        self._raw = f"`{settings.project_id}.{settings.raw_dataset}.dog_breeds_resource`"
        self._client = bigquery.Client(project=settings.project_id, location=settings.location)

    def figures(self) -> Figures:
        """Asks for all. Raises WarehouseError."""
        try:
            return Figures(self._counts(), self._null_rates(), self._charts(), self._reasons())
        except (GoogleAPICallError, GoogleAuthError) as error:
            raise WarehouseError(f"the tables are made, but could not be counted: {error}") from error

    def _rows(self, sql: str) -> list[tuple[object, ...]]:
        return [tuple(row) for row in self._client.query_and_wait(sql)]

    def _named(self, table: str) -> str:
        return f"{self._tables}.{table}`"

    def _counts(self) -> dict[str, int | None]:
        wanted = {
            "raw": self._raw,
            "parsed": self._named("breeds_parsed"),
            "quarantined": f"{self._named('breeds_quarantine')} where {self._this_load}",
            "dim_breeds": self._named("dim_breeds"),
            "temperaments": self._named("breed_temperaments"),
        }
        return {name: self._count(table) for name, table in wanted.items()}

    def _count(self, table: str) -> int | None:
        try:
            ((rows,),) = self._rows(f"select count(*) from {table}")
        except NotFound:
            return None
        return int(str(rows))

    @property
    def _this_load(self) -> str:
        """Picks the rows that the present load brought."""
        return f"ingested_at = (select max(ingested_at) from {self._named('breeds_normalised')})"

    def _null_rates(self) -> dict[str, float]:
        shares = ", ".join(f"countif({column} is null) / greatest(count(*), 1)" for column in COLUMNS)
        (rates,) = self._rows(f"select {shares} from {self._named('breeds_normalised')}")
        return {column: round(float(str(rate)), 4) for column, rate in zip(COLUMNS, rates, strict=True)}

    def _charts(self) -> dict[str, Bars]:
        breeds = self._named("breeds_normalised")
        words = (
            f"select trim(word) from {breeds}, unnest(split(temperament, ',')) as word where trim(word) != ''"
        )
        return {
            "Breeds by group": self._bars(f"select coalesce(breed_group, '(none)') as label from {breeds}"),
            "Breeds by longest life (years)": self._bars(
                f"select cast(cast(life_span_max_years as int64) as string) as label from {breeds} "
                "where life_span_max_years is not null",
                order="cast(label as int64)",
            ),
            "Breeds by greatest weight (from, kg)": self._bars(
                f"select cast(div(cast(weight_max_kg as int64), 10) * 10 as string) as label from {breeds} "
                "where weight_max_kg is not null",
                order="cast(label as int64)",
            ),
            "Most frequent temperaments": self._bars(words.replace("trim(word)", "trim(word) as label", 1)),
        }

    def _reasons(self) -> Bars:
        return self._bars(
            f"select reason as label from {self._named('breeds_quarantine')} where {self._this_load}"
        )

    def _bars(self, labels: str, order: str = "2 desc, label") -> Bars:
        found = self._rows(
            f"select label, count(*) from ({labels}) as labels group by label order by {order} limit 15"
        )
        return [(str(label), float(str(number))) for label, number in found]
