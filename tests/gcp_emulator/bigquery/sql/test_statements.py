"""Statements of GoogleSQL on real DuckDB: tables, changes of rows, scripts, parameters, INFORMATION_SCHEMA."""

from collections.abc import Iterator
from datetime import date
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.gcp_emulator.bigquery.sql.world import World, root, world


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    made = root()
    yield made
    made.close()


@pytest.fixture
def here(connection: duckdb.DuckDBPyConnection) -> World:
    return world(connection)


def parameter(kind: str, value: Any, name: str = "") -> dict[str, Any]:
    made = {"parameterType": {"type": kind}, "parameterValue": {"value": value}}
    return {**made, "name": name} if name else made


# Tables


def test_a_table_keeps_what_its_statement_says(here: World) -> None:
    here.do(
        "CREATE TABLE d.t (a INT64 NOT NULL OPTIONS(description='key'), b ARRAY<STRUCT<c STRING>>, day DATE) "
        "PARTITION BY DATE_TRUNC(day, MONTH) CLUSTER BY a OPTIONS(description='all', labels=[('k', 'v')], "
        "partition_expiration_days=2, expiration_timestamp=TIMESTAMP '2030-01-01 00:00:00+00')"
    )
    table = here.need_table("a-project", "d", "t")
    assert table["timePartitioning"] == {"type": "MONTH", "field": "day", "expirationMs": "172800000"}
    assert (table["clustering"], table["labels"]) == ({"fields": ["a"]}, {"k": "v"})
    assert (table["description"], table["expirationTime"]) == ("all", "1893456000000")
    key, nested, _ = table["schema"]["fields"]
    assert (key["mode"], key["description"]) == ("REQUIRED", "key")
    assert (nested["mode"], nested["fields"][0]["name"]) == ("REPEATED", "c")


def test_a_table_made_of_a_query_has_the_columns_that_are_given(here: World) -> None:
    here.do("CREATE OR REPLACE TABLE d.t (a NUMERIC NOT NULL, b STRING) AS SELECT 1, 'x'")
    assert here.need_table("a-project", "d", "t")["schema"]["fields"][0]["type"] == "NUMERIC"
    assert "cannot be null" in here.refused("INSERT INTO d.t (b) VALUES ('y')")
    assert "does not match" in here.refused("CREATE OR REPLACE TABLE d.t (a INT64) AS SELECT 1, 2")
    assert "has no name" in here.refused("CREATE TABLE d.u AS SELECT 1")
    assert "duplicate name" in here.refused("CREATE TABLE d.u AS SELECT 1 AS a, 2 AS a")


@pytest.mark.parametrize(("how", "rows"), [("CLONE", 1), ("COPY", 1), ("LIKE", 0)])
def test_a_copy_keeps_rows_modes_and_descriptions(here: World, how: str, rows: int) -> None:
    here.do("CREATE TABLE d.t (a INT64 NOT NULL OPTIONS(description='key')) CLUSTER BY a")
    here.do("INSERT INTO d.t VALUES (1)")
    here.do(f"CREATE OR REPLACE TABLE d.u {how} d.t")
    assert here.all("SELECT COUNT(*) FROM d.u") == [(rows,)]
    assert here.need_table("a-project", "d", "u")["schema"]["fields"][0]["description"] == "key"
    assert here.need_table("a-project", "d", "u")["clustering"] == {"fields": ["a"]}
    assert "cannot be null" in here.refused("INSERT INTO d.u VALUES (NULL)")


def test_what_exists_is_not_made_again_unless_it_may(here: World) -> None:
    here.do("CREATE TABLE d.t (a INT64)")
    assert "Already Exists: Table a-project:d.t" in here.refused("CREATE TABLE d.t (a INT64)")
    here.do("CREATE TABLE IF NOT EXISTS d.t (b STRING)")
    assert here.last is not None
    assert here.last.ddl == "SKIP"
    here.do("DROP TABLE IF EXISTS d.none")
    assert (
        here.refused("DROP TABLE d.none") == "Not found: Table a-project:d.none was not found in location US"
    )
    assert "it is a TABLE" in here.refused("DROP VIEW d.t")
    assert "still in use" in here.refused("DROP SCHEMA d")


def test_columns_come_and_go(here: World) -> None:
    here.do("CREATE TABLE d.t (a INT64 NOT NULL)")
    here.do(
        "ALTER TABLE d.t ADD COLUMN b STRING OPTIONS(description='text'), ADD COLUMN IF NOT EXISTS a INT64"
    )
    here.do("ALTER TABLE d.t RENAME COLUMN b TO c")
    here.do("ALTER TABLE d.t ALTER COLUMN a DROP NOT NULL")
    here.do("ALTER TABLE d.t ALTER COLUMN c SET OPTIONS(description='other')")
    here.do("ALTER TABLE d.t SET OPTIONS(description='all')")
    here.do("ALTER TABLE d.t SET OPTIONS()")
    fields = {field["name"]: field for field in here.need_table("a-project", "d", "t")["schema"]["fields"]}
    assert (fields["a"]["mode"], fields["c"]["description"]) == ("NULLABLE", "other")
    assert here.need_table("a-project", "d", "t")["description"] == "all"
    here.do("ALTER TABLE d.t DROP COLUMN c")
    assert here.all("SELECT * FROM d.t") == []
    assert [field["name"] for field in here.fields] == ["a"]
    here.do("ALTER TABLE d.t RENAME TO u")
    assert here.all("SELECT COUNT(*) FROM d.u") == [(0,)]


def test_a_view_is_read_anew_each_time(here: World) -> None:
    here.do("CREATE TABLE d.t (a INT64)")
    here.do("CREATE VIEW d.v (a OPTIONS(description='key')) AS SELECT a FROM d.t WHERE a > 1")
    here.do("INSERT INTO d.t VALUES (1), (2)")
    assert here.all("SELECT v.a FROM d.v AS v") == [(2,)]
    view = here.need_table("a-project", "d", "v")
    assert view["view"]["query"] == "SELECT a FROM d.t WHERE a > 1"
    assert view["schema"]["fields"][0]["description"] == "key"
    assert "currently a VIEW" in here.refused("INSERT INTO d.v VALUES (3)")


# Rows


def test_counts_of_changed_rows(here: World) -> None:
    here.do("CREATE TABLE d.t (a INT64, b STRING)")
    assert here.do("INSERT INTO d.t (a, b) VALUES (1, 'x'), (2, 'y'), (3, NULL)").affected == 3
    assert here.do("UPDATE d.t SET b = CONCAT(b, '!') WHERE a < 3").affected == 2
    assert here.do("DELETE FROM d.t WHERE b IS NULL").affected == 1
    here.do(
        "MERGE d.t AS t USING (SELECT 2 AS a, 'z' AS b UNION ALL SELECT 4, 'w') AS s ON t.a = s.a "
        "WHEN MATCHED THEN UPDATE SET b = s.b WHEN NOT MATCHED THEN INSERT (a, b) VALUES (s.a, s.b) "
        "WHEN NOT MATCHED BY SOURCE THEN DELETE"
    )
    assert here.changed == {"inserted": 1, "updated": 1, "deleted": 1}
    assert here.all("SELECT * FROM d.t ORDER BY a") == [(2, "z"), (4, "w")]
    assert here.do("TRUNCATE TABLE d.t").affected == 2


def test_an_update_takes_one_source_row_for_each_row(here: World) -> None:
    here.do("CREATE TABLE d.t (a INT64, b INT64)")
    here.do("INSERT INTO d.t VALUES (1, 1)")
    assert (
        here.do("UPDATE d.t AS t SET b = s.b FROM (SELECT 1 AS a, 5 AS b) AS s WHERE t.a = s.a").affected == 1
    )
    twice = "(SELECT 1 AS a, 6 AS b UNION ALL SELECT 1, 7) AS s"
    assert "at most one source row" in here.refused(
        f"UPDATE d.t AS t SET b = s.b FROM {twice} WHERE t.a = s.a"
    )
    merge = f"MERGE d.t AS t USING {twice} ON t.a = s.a WHEN MATCHED THEN UPDATE SET b = s.b"
    assert "at most one source row" in here.refused(merge)
    here.do("UPDATE d.t SET (a, b) = (SELECT AS STRUCT 8, 9) WHERE TRUE")
    assert here.all("SELECT a, b FROM d.t") == [(8, 9)]


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("INSERT INTO d.t (a) VALUES (1.5)", "has type FLOAT64 which cannot be inserted into column a"),
        ("INSERT INTO d.t (b) SELECT 5", "has type INT64 which cannot be inserted into column b"),
        ("UPDATE d.t SET a = 'x' WHERE TRUE", "has type STRING which cannot be inserted into column a"),
        ("INSERT INTO d.t (zork) VALUES (1)", "Column zork is not present in table a-project:d.t"),
        ("INSERT INTO d.t (a) VALUES (1, 2)", "wrong column count"),
        ("UPDATE d.t SET a = 1", "UPDATE must have a WHERE clause"),
        ("DELETE FROM d.t", "DELETE must have a WHERE clause"),
        ("UPDATE d.t SET zork = 1 WHERE TRUE", "Unrecognized name: zork"),
        ("SELECT zork FROM d.t", "Unrecognized name: zork at [1:8]"),
        ("SELECT a,\n  zork FROM d.t", "Unrecognized name: zork at [2:3]"),
        ("SELECT a AS x FROM d.t WHERE x > 1", "Unrecognized name: x"),
        ("SELECT a, COUNT(*) FROM d.t", "neither grouped nor aggregated"),
        ("SELECT a, a FROM d.t", "Duplicate column names in the result"),
        ("SELECT * FROM d.none", "Not found: Table a-project:d.none was not found in location US"),
        ("SELECT * FROM none.t", "Not found: Dataset a-project:none was not found in location US"),
        ("SELECT a FROM d.t WHERE a = 'x'", "No matching signature for operator ="),
        ("SELECT FROM", "Syntax error: "),
        ("SELECT * FROM d.t FOR SYSTEM_TIME AS OF CURRENT_TIMESTAMP()", "FOR SYSTEM_TIME AS OF"),
        ("CREATE FUNCTION d.f(x INT64) AS (x)", "CREATE FUNCTION"),
        ("SELECT * FROM d.t TABLESAMPLE SYSTEM (10 PERCENT)", "TABLESAMPLE"),
        ("CREATE TABLE d.g (g GEOGRAPHY)", "the type GEOGRAPHY"),
        ("EXPORT DATA OPTIONS(uri='gs://b/*') AS SELECT 1", "EXPORT"),
        ("SELECT * FROM d.INFORMATION_SCHEMA.STREAMING_TIMELINE", "INFORMATION_SCHEMA.STREAMING_TIMELINE"),
    ],
)
def test_what_is_wrong_or_missing_is_said(here: World, statement: str, message: str) -> None:
    here.do("CREATE TABLE d.t (a INT64, b STRING)")
    here.do("INSERT INTO d.t VALUES (1, 'x')")
    assert message in here.refused(statement)
    assert here.all("SELECT * FROM d.t") == [(1, "x")]


# Queries


@pytest.fixture(scope="module")
def orders(connection: duckdb.DuckDBPyConnection) -> World:
    made = World(connection)
    made.do("CREATE SCHEMA IF NOT EXISTS e")
    made.do(
        "CREATE TABLE e.orders (id INT64, name STRING, tags ARRAY<STRING>, items ARRAY<STRUCT<sku STRING, n INT64>>)"
    )
    made.do(
        "INSERT INTO e.orders VALUES (1, 'Ann', ['x', 'y'], [STRUCT('s', 2), STRUCT('t', 3)]), "
        "(2, 'ann', [], [STRUCT('s', 5)]), (3, NULL, NULL, [])"
    )
    return made


QUERIES: list[tuple[str, list[tuple[Any, ...]]]] = [
    ("SELECT id, t, o FROM e.orders, UNNEST(tags) AS t WITH OFFSET AS o ORDER BY o", [(1, "x", 0), (1, "y", 1)]),
    ("SELECT id, i.sku FROM e.orders, UNNEST(items) AS i WHERE i.n > 2 ORDER BY id", [(1, "t"), (2, "s")]),
    ("SELECT id, sku FROM e.orders, UNNEST(items) WHERE n = 5", [(2, "s")]),
    ("SELECT id, w FROM (SELECT 1 AS id, 'a,b' AS s), UNNEST(SPLIT(s, ',')) AS w ORDER BY w", [(1, "a"), (1, "b")]),
    ("SELECT o.id, i.n FROM e.orders AS o, o.items AS i WHERE id = 2", [(2, 5)]),
    ("SELECT i.* FROM e.orders AS o, UNNEST(o.items) AS i WHERE o.id = 2", [("s", 5)]),
    ("SELECT id, i.n FROM e.orders LEFT JOIN UNNEST(items) AS i WHERE id = 3", [(3, None)]),
    ("SELECT id FROM e.orders ORDER BY name", [(3,), (1,), (2,)]),
    ("SELECT id FROM e.orders ORDER BY name DESC", [(2,), (1,), (3,)]),
    ("SELECT LOWER(name) AS name, COUNT(*) FROM e.orders WHERE name IS NOT NULL GROUP BY name", [("ann", 2)]),
    ("SELECT name, SUM(id) AS s FROM e.orders GROUP BY name HAVING s > 2", [(None, 3)]),
    ("SELECT id, (SELECT SUM(n) FROM UNNEST(items)) AS n FROM e.orders ORDER BY id", [(1, 5), (2, 5), (3, None)]),
    ("SELECT ARRAY_LENGTH(tags) FROM e.orders WHERE id = 3", [(0,)]),
    ("SELECT id FROM e.orders WHERE TRUE QUALIFY ROW_NUMBER() OVER (ORDER BY id DESC) = 1", [(3,)]),
    ("SELECT id, LAG(id, 1, 0) OVER (ORDER BY id) AS before FROM e.orders ORDER BY id", [(1, 0), (2, 1), (3, 2)]),
    (
        "SELECT id, SUM(id) OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS s FROM e.orders ORDER BY 1",
        [(1, 1), (2, 3), (3, 5)],
    ),
    ("SELECT * EXCEPT (tags, items) REPLACE (id * 2 AS id) FROM e.orders WHERE id = 1", [(2, "Ann")]),
    ("SELECT ID FROM e.orders AS E WHERE e.Id = 1", [(1,)]),
    ("WITH a AS (SELECT 1 AS x), b AS (SELECT x + 1 AS x FROM a) SELECT * FROM a UNION ALL SELECT * FROM b ORDER BY x",
     [(1,), (2,)]),
    ("SELECT x FROM UNNEST([1, 2, 2]) AS x EXCEPT DISTINCT SELECT 1", [(2,)]),
    ("SELECT * FROM (SELECT 'k' AS k, 'a' AS c, 1 AS v) PIVOT (SUM(v) AS s FOR c IN ('a', 'b'))", [("k", 1, None)]),
    ("SELECT AS STRUCT 1 AS a, 2 AS b", [(1, 2)]),
    ("SELECT * FROM UNNEST([STRUCT(1 AS a, 'x' AS b), (2, 'y')]) ORDER BY a", [(1, "x"), (2, "y")]),
    ("SELECT ROUND(AVG(id), 1) / COUNT(*) AS q FROM e.orders", [(2 / 3,)]),
    ("SELECT APPROX_COUNT_DISTINCT(id), MAX_BY(name, id), MIN(id) FROM e.orders", [(3, "ann", 1)]),
    ("SELECT id IN UNNEST([1, 5]) AS y FROM e.orders ORDER BY id", [(True,), (False,), (False,)]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "rows"), QUERIES, ids=[text for text, _ in QUERIES])
def test_a_query_gives_bigquerys_rows(orders: World, text: str, rows: list[tuple[Any, ...]]) -> None:
    assert orders.all(text) == rows


def test_nameless_columns_are_counted(orders: World) -> None:
    orders.do("SELECT 1, id, id + 1 FROM e.orders")
    assert [field["name"] for field in orders.fields] == ["f0_", "id", "f1_"]


# Parameters


def test_parameters_by_name_and_by_position(here: World) -> None:
    assert here.all(
        "SELECT @a + 1, @B", parameter("INT64", "2", "a"), parameter("DATE", "2020-01-02", "b")
    ) == [(3, date(2020, 1, 2))]
    assert here.all("SELECT ?, '?', ?", parameter("STRING", "it's"), parameter("FLOAT64", "1.5")) == [
        ("it's", "?", 1.5)
    ]
    listed = {
        "name": "l",
        "parameterType": {"type": "ARRAY", "arrayType": {"type": "INT64"}},
        "parameterValue": {"arrayValues": [{"value": "1"}, {"value": "2"}]},
    }
    assert here.all("SELECT x FROM UNNEST(@l) AS x ORDER BY x", listed) == [(1,), (2,)]
    struct = {
        "name": "s",
        "parameterType": {"type": "STRUCT", "structTypes": [{"name": "a", "type": {"type": "BYTES"}}]},
        "parameterValue": {"structValues": {"a": {"value": "YWI="}}},
    }
    assert here.all("SELECT @s.a", struct) == [(b"ab",)]
    assert here.all("SELECT @n IS NULL", parameter("INT64", None, "n")) == [(True,)]
    assert "Query parameter 'none' not found" in here.refused("SELECT @none")


@settings(max_examples=40, deadline=None)
@given(
    text=st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=12),
    number=st.integers(-(2**63), 2**63 - 1),
)
def test_any_text_and_number_come_back_as_they_were(orders: World, text: str, number: int) -> None:
    given_back = orders.all(
        "SELECT @t, @n", parameter("STRING", text, "t"), parameter("INT64", str(number), "n")
    )
    assert given_back == [(text, number)]
    assert orders.all(
        f"SELECT {text!r}" if "\\" not in repr(text) else "SELECT @t", parameter("STRING", text, "t")
    ) == [(text,)]


# Scripts


def test_a_script_declares_loops_and_decides(here: World) -> None:
    here.do(
        """
        DECLARE total, i INT64 DEFAULT 0;
        DECLARE names ARRAY<STRING>;
        DECLARE day DATE DEFAULT '2020-01-01';
        CREATE TEMP TABLE kept (n INT64);
        WHILE i < 3 DO
          SET i = i + 1;
          IF i = 2 THEN CONTINUE; END IF;
          INSERT INTO kept VALUES (i);
        END WHILE;
        LOOP
          SET total = total + 10;
          IF total >= 30 THEN BREAK; END IF;
        END LOOP;
        SET (names, total) = (SELECT AS STRUCT ARRAY_AGG(CAST(n AS STRING) ORDER BY n), total + SUM(n) FROM kept);
        IF total > 100 THEN SELECT 'large';
        ELSEIF ARRAY_LENGTH(names) = 2 THEN SELECT total, names, day;
        ELSE SELECT 'small';
        END IF;
        """
    )
    assert here.rows == [(34, ["1", "3"], date(2020, 1, 1))]
    assert here.ran.count("INSERT") == 2


def test_a_block_handles_an_error_and_forgets_its_variables(here: World) -> None:
    here.do("BEGIN DECLARE x INT64; SELECT 1 / 0; EXCEPTION WHEN ERROR THEN SELECT @@error.message; END;")
    assert here.rows == [("division by zero: 1 / 0",)]
    assert "Undeclared variable: x" in here.refused("BEGIN DECLARE x INT64; END; SET x = 1;")
    assert "my words" in here.refused("BEGIN RAISE USING MESSAGE = 'my words'; END;")


def test_statements_that_are_made_while_a_script_runs(here: World) -> None:
    here.do("CREATE TABLE d.t (a INT64)")
    here.do(
        "DECLARE n INT64; EXECUTE IMMEDIATE CONCAT('INSERT INTO d.', 't', ' VALUES (?)') USING 7; "
        "EXECUTE IMMEDIATE 'SELECT MAX(a) FROM d.t' INTO n; SELECT n, @@row_count;"
    )
    assert here.rows == [(7, 1)]


def test_a_transaction_is_kept_or_undone(here: World) -> None:
    here.do("CREATE TABLE d.t (a INT64)")
    here.do("BEGIN TRANSACTION; INSERT INTO d.t VALUES (1); ROLLBACK TRANSACTION;")
    here.do("BEGIN; INSERT INTO d.t VALUES (2); COMMIT;")
    assert here.all("SELECT a FROM d.t") == [(2,)]
    assert here.ran[-4:] == ["BEGIN_TRANSACTION", "INSERT", "COMMIT_TRANSACTION", "SELECT"]


def test_a_temporary_table_is_the_sessions_own(here: World, connection: duckdb.DuckDBPyConnection) -> None:
    here.do("CREATE TEMP TABLE t AS SELECT 1 AS a")
    here.do("INSERT INTO t VALUES (2)")
    assert here.all("SELECT SUM(a) FROM _SESSION.t") == [(3,)]
    assert "Not found: Table a-project:d.t" in World.refused(other(here, connection), "SELECT * FROM t")
    here.do("DROP TABLE t")
    assert "Not found" in here.refused("SELECT * FROM t")


def other(here: World, connection: duckdb.DuckDBPyConnection) -> World:
    made = World(connection)
    made.resources = here.resources
    return made


def test_a_column_goes_before_a_variable_of_its_name(here: World) -> None:
    here.do("CREATE TABLE d.t (a INT64)")
    here.do("INSERT INTO d.t VALUES (1)")
    here.do("DECLARE a INT64 DEFAULT 5; DECLARE b INT64 DEFAULT 6; SELECT a, b FROM d.t;")
    assert here.rows == [(1, 6)]


@pytest.mark.parametrize(
    "text", ["IF TRUE THEN SELECT 1;", "LOOP SELECT 1;", "SELECT 1; END;", "BEGIN SELECT 1;"]
)
def test_a_block_that_does_not_close_is_a_syntax_error(here: World, text: str) -> None:
    assert here.refused(text).startswith("Syntax error: ")


def test_a_session_is_ended_by_its_call(here: World) -> None:
    here.do("CALL BQ.ABORT_SESSION()")
    assert here.aborted


# INFORMATION_SCHEMA


def test_the_catalogue_is_read_as_tables(here: World) -> None:
    here.do(
        "CREATE TABLE d.t (a INT64 NOT NULL, s STRUCT<x STRING, y ARRAY<INT64>>) OPTIONS(description='all')"
    )
    here.do("CREATE VIEW d.v AS SELECT a FROM d.t")
    schema = "`a-project`.`d`.INFORMATION_SCHEMA"
    assert here.all(f"SELECT table_name, table_type FROM {schema}.TABLES ORDER BY 1") == [
        ("t", "BASE TABLE"),
        ("v", "VIEW"),
    ]
    columns = (
        f"SELECT column_name, data_type, is_nullable FROM {schema}.COLUMNS WHERE table_name = 't' ORDER BY 1"
    )
    assert here.all(columns) == [("a", "INT64", "NO"), ("s", "STRUCT<x STRING, y ARRAY<INT64>>", "YES")]
    paths = (
        "SELECT field_path FROM `d.INFORMATION_SCHEMA.COLUMN_FIELD_PATHS` WHERE table_name = 't' ORDER BY 1"
    )
    assert here.all(paths) == [("a",), ("s",), ("s.x",), ("s.y",)]
    assert here.all("SELECT schema_name FROM `region-us`.INFORMATION_SCHEMA.SCHEMATA") == [("d",)]
    assert here.all("SELECT option_value FROM d.INFORMATION_SCHEMA.TABLE_OPTIONS") == [('"all"',)]
    assert here.all("SELECT view_definition FROM d.INFORMATION_SCHEMA.VIEWS") == [("SELECT a FROM d.t",)]
    assert here.all("SELECT table_id, type FROM d.__TABLES__ ORDER BY 1") == [("t", 1), ("v", 2)]
    for empty in ("MATERIALIZED_VIEWS", "OBJECT_PRIVILEGES"):
        assert here.all(f"SELECT * FROM d.INFORMATION_SCHEMA.{empty}") == []
    assert here.all("SELECT total_rows FROM d.INFORMATION_SCHEMA.TABLE_STORAGE WHERE table_name = 't'") == [
        (0,)
    ]


def test_wildcard_tables_are_read_together(here: World) -> None:
    for year in (2019, 2020):
        here.do(f"CREATE TABLE d.y_{year} AS SELECT {year} AS n")
    assert here.all("SELECT n FROM `d.y_*` WHERE _TABLE_SUFFIX = '2020'") == [(2020,)]
    assert here.all("SELECT * FROM `d.y_*` ORDER BY n") == [(2019,), (2020,)]
