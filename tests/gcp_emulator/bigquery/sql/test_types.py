"""Types that BigQuery does not bring together, and NaN, in whole statements over tables.

https://cloud.google.com/bigquery/docs/reference/standard-sql/conversion_rules#coercion and
https://cloud.google.com/bigquery/docs/reference/standard-sql/data-types#orderable_data_types
"""

from collections.abc import Iterator
from typing import Any

import pytest
from tests.gcp_emulator.bigquery.sql.world import World, root, world

MADE = """
CREATE TABLE d.t (i INT64, f FLOAT64, s STRING, d DATE, ts TIMESTAMP, b BOOL, a ARRAY<INT64>,
  st STRUCT<x INT64>, j JSON);
INSERT INTO d.t VALUES
  (1, 1.5, '2020-01-01', DATE '2020-01-01', TIMESTAMP '2020-01-01', TRUE, [1, 2], STRUCT(1), JSON '1');
CREATE TABLE d.n (k INT64, f FLOAT64);
INSERT INTO d.n VALUES (1, CAST('nan' AS FLOAT64)), (2, CAST('-inf' AS FLOAT64)), (3, 0.0), (4, CAST('inf' AS FLOAT64)),
  (5, NULL), (6, CAST('nan' AS FLOAT64));
CREATE TABLE d.empty (i INT64, s STRING)
"""

REFUSED = [
    ("SELECT i = s FROM t", "No matching signature for operator = for argument types: INT64, STRING"),
    ("SELECT i = s FROM empty", "No matching signature for operator = for argument types: INT64, STRING"),
    ("SELECT 1 FROM t WHERE d = s", "No matching signature for operator = for argument types: DATE, STRING"),
    ("SELECT ts > d FROM t", "No matching signature for operator > for argument types: TIMESTAMP, DATE"),
    ("SELECT 1 FROM t JOIN empty AS u ON t.d = u.s", "operator = for argument types: DATE, STRING"),
    ("SELECT u.i FROM t JOIN (SELECT s AS i FROM empty) AS u USING (i)", "argument types: INT64, STRING"),
    ("SELECT d IN (s) FROM t", "operator IN for argument types DATE and {STRING}"),
    ("SELECT i IN (SELECT s FROM empty) FROM t", "operator IN for argument types INT64 and {STRING}"),
    ("SELECT d BETWEEN s AND s FROM t", "operator BETWEEN for argument types: DATE, STRING, STRING"),
    ("SELECT CASE WHEN b THEN i ELSE s END FROM t", "common type but found: INT64, STRING"),
    ("SELECT COALESCE(d, ts) FROM t", "function COALESCE for argument types: DATE, TIMESTAMP"),
    ("SELECT [d, ts] FROM t", "Array elements of types {DATE, TIMESTAMP} do not have a common supertype"),
    ("SELECT 1 FROM t WHERE i", "WHERE clause should return type BOOL, but returns INT64"),
    ("SELECT i FROM t GROUP BY i HAVING SUM(f)", "HAVING clause should return type BOOL, but returns FLOAT64"),
    ("SELECT i FROM t GROUP BY i HAVING SUM(f) > 'x'", "operator > for argument types: FLOAT64, STRING"),
    ("SELECT i FROM t QUALIFY ROW_NUMBER() OVER (ORDER BY i) = 'x'", "argument types: INT64, STRING"),
    ("SELECT SUM(IF(i = s, 1, 0)) FROM t", "operator = for argument types: INT64, STRING"),
    ("SELECT (SELECT MAX(x) FROM UNNEST(t.a) AS x WHERE x = t.s) FROM t", "argument types: INT64, STRING"),
    ("SELECT 1 FROM t WHERE EXISTS(SELECT 1 FROM empty WHERE empty.i = t.s)", "argument types: INT64, STRING"),
    ("WITH c AS (SELECT i AS z FROM t), e AS (SELECT z FROM c) SELECT 1 FROM e WHERE z = '1'", "INT64, STRING"),
    ("WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 'x') SELECT 1", "INT64, STRING"),
    ("SELECT i FROM t UNION ALL SELECT s FROM t", "Column 1 in UNION ALL has incompatible types: INT64, STRING"),
    ("SELECT 1, d FROM t UNION ALL SELECT 2, ts FROM t", "Column 2 in UNION ALL has incompatible types"),
    ("SELECT d FROM t INTERSECT DISTINCT SELECT s FROM t", "Column 1 in INTERSECT DISTINCT has incompatible types"),
    ("SELECT d FROM t EXCEPT DISTINCT SELECT ts FROM t", "Column 1 in EXCEPT DISTINCT has incompatible types"),
    ("SELECT i, s FROM t UNION ALL SELECT 1", "mismatched column count; query 1 has 2 columns, query 2 has 1 column"),
    ("SELECT st = st FROM t", "does not serve STRUCTs with ="),
    ("SELECT st < st FROM t", "Less than is not defined for arguments of type STRUCT<x INT64>"),
    ("SELECT i FROM t ORDER BY a", "ORDER BY does not support expressions of type ARRAY<INT64>"),
    ("SELECT 1 FROM t GROUP BY j", "Grouping by expressions of type JSON is not allowed"),
    ("SELECT DISTINCT j FROM t", "Grouping by expressions of type JSON is not allowed"),
    ("SELECT a[OFFSET('1')] FROM t", "No matching signature for operator []"),
    ("SELECT RANK() OVER () FROM t", "Window ORDER BY is required for analytic function RANK"),
    ("SELECT LAG(i, -1) OVER (ORDER BY i) FROM t", "must be an integer constant that is not negative"),
    ("SELECT COUNT(DISTINCT i) OVER (ORDER BY i) FROM t", "Window ORDER BY is not allowed if DISTINCT is specified"),
    ("SELECT PERCENTILE_CONT(f, 0.5 RESPECT NULLS) OVER () FROM t", "PERCENTILE_CONT with RESPECT NULLS"),
    ("SELECT COUNT(DISTINCT a) FROM t", "DISTINCT cannot be used with arguments of type ARRAY<INT64>"),
    ("SELECT SUM(i) OVER (PARTITION BY f) FROM t", "Partitioning by expressions of type FLOAT64 is not allowed"),
    ("SELECT i FROM t LIMIT 1.5", "Expected an integer in LIMIT or OFFSET"),
    ("SELECT i IS TRUE FROM t", "No matching signature for operator IS for argument types: INT64"),
    ("SELECT ARRAY_LENGTH(s) FROM t", "No matching signature for function ARRAY_LENGTH for argument types: STRING"),
    ("SELECT s[OFFSET(0)] FROM t", "No matching signature for operator [] for argument types: STRING, INT64"),
    ("SELECT d - ts FROM t", "No matching signature for operator - for argument types: DATE, TIMESTAMP"),
    ("SELECT 1 UNION SELECT 2", "Syntax error"),
    ("SELECT zork = 1 FROM t", "Unrecognized name: zork at [1:8]"),
    ("SELECT i FROM t WHERE zork IN (1)", "Unrecognized name: zork at [1:23]"),
    ("SELECT i FROM t ORDER BY zork", "Unrecognized name: zork at [1:26]"),
    ("SELECT DISTINCT i FROM t ORDER BY f", "Unrecognized name: f"),
    ("SELECT i FROM t UNION ALL SELECT 1 ORDER BY f", "Unrecognized name: f"),
    ("DELETE FROM t WHERE i = 'x'", "operator = for argument types: INT64, STRING"),
    ("UPDATE t SET f = 1 WHERE s = 1", "operator = for argument types: STRING, INT64"),
    ("MERGE t USING empty AS u ON t.i = u.s WHEN MATCHED THEN DELETE", "operator = for argument types: INT64, STRING"),
    ("DECLARE x INT64 DEFAULT '5'", "Cannot coerce expression of type STRING to type INT64"),
    ("DECLARE x INT64; SET x = 1.5", "Cannot coerce expression of type FLOAT64 to type INT64"),
    ("IF 1 THEN SELECT 1; END IF", "No matching signature for statement IF for argument types: INT64"),
    ("CREATE TABLE x (a ARRAY<ARRAY<INT64>>)", "Arrays of arrays are not supported"),
    ("ALTER TABLE t ALTER COLUMN i SET DATA TYPE STRING", "(INT64) is assignable to the new type (STRING)"),
    ("SELECT a.k FROM n AS a JOIN n AS b USING (f)", "does not serve JOIN USING a FLOAT64 column"),
    ("SELECT k FROM n WHERE f IN (CAST('nan' AS FLOAT64))", "not supported by the emulator"),
    ("SELECT PERCENTILE_CONT(f, 0.5) OVER () FROM n", "NaN is not supported here by the emulator"),
    ("SELECT SUM(k) OVER (ORDER BY f RANGE BETWEEN 1 PRECEDING AND CURRENT ROW) FROM n", "NaN is not supported here"),
]  # fmt: skip

RIGHT = [
    ("SELECT d = '2020-01-01', ts > '2019-12-31', d < DATETIME '2020-01-01 10:00:00' FROM t", [(True, True, True)]),
    ("SELECT d BETWEEN '2019-01-01' AND '2021-01-01', d IN ('2020-01-01', NULL) FROM t", [(True, True)]),
    ("SELECT i = f, i < 1.5 FROM t", [(False, True)]),
    ("SELECT i FROM t UNION ALL SELECT f FROM t ORDER BY 1", [(1.0,), (1.5,)]),
    ("SELECT i FROM t UNION ALL SELECT NULL ORDER BY i", [(None,), (1,)]),
    ("SELECT (i, s) = (1, '2020-01-01'), (i, s) IN ((2, 'x'), (1, '2020-01-01')) FROM t", [(True, True)]),
    ("SELECT (SELECT MAX(x) FROM UNNEST(t.a) AS x WHERE x > t.i) FROM t", [(2,)]),
    ("SELECT i, SUM(f) AS t FROM t GROUP BY i HAVING SUM(f) > 1 ORDER BY 2 DESC, i", [(1, 1.5)]),
    # NULL, NaN, -inf, numbers, inf
    ("SELECT k FROM n ORDER BY f, k", [(5,), (1,), (6,), (2,), (3,), (4,)]),
    ("SELECT k FROM n ORDER BY f DESC, k", [(4,), (3,), (2,), (1,), (6,), (5,)]),
    ("SELECT k FROM n ORDER BY f NULLS LAST, k", [(1,), (6,), (2,), (3,), (4,), (5,)]),
    ("SELECT f AS x, k FROM n WHERE k < 4 ORDER BY 1 DESC LIMIT 2", [(0.0, 3), (float("-inf"), 2)]),
    ("SELECT * FROM n WHERE k > 1 ORDER BY 2 DESC, 1 LIMIT 2", [(4, float("inf")), (3, 0.0)]),
    ("SELECT DISTINCT f FROM n WHERE k > 1 ORDER BY f DESC LIMIT 2", [(float("inf"),), (0.0,)]),
    ("SELECT f FROM n WHERE k < 4 UNION ALL SELECT 5 ORDER BY f DESC LIMIT 2", [(5.0,), (0.0,)]),
    ("SELECT k, RANK() OVER (ORDER BY f) FROM n ORDER BY k", [(1, 2), (2, 4), (3, 5), (4, 6), (5, 1), (6, 2)]),
    ("SELECT COUNT(DISTINCT f), COUNTIF(f = f), COUNTIF(f != f), COUNTIF(f > 0) FROM n", [(4, 3, 2, 1)]),
    ("SELECT COUNT(*) FROM (SELECT f FROM n GROUP BY f)", [(5,)]),
    ("SELECT COUNT(*) FROM n AS a JOIN n AS b ON a.f = b.f", [(3,)]),
    ("SELECT IS_NAN(MIN(f)), IS_NAN(MAX(f)) FROM n", [(True, True)]),
    ("SELECT k FROM n WHERE f NOT BETWEEN 0 AND CAST('nan' AS FLOAT64) ORDER BY k", [(1,), (2,), (3,), (4,), (6,)]),
    ("SELECT k FROM n WHERE f NOT IN (0.0) ORDER BY k", [(1,), (2,), (4,), (6,)]),
    # an alias of the SELECT list is the list's own, also where a subquery has one of that name
    ("SELECT i AS x FROM t UNION ALL SELECT i + 1 AS x FROM t ORDER BY x DESC", [(2,), (1,)]),
    ("SELECT i AS x FROM t WHERE EXISTS(SELECT 5 AS x FROM n) GROUP BY x ORDER BY x", [(1,)]),
    ("SELECT k AS x FROM n ORDER BY IF(x > 3, 0, 1), x LIMIT 3", [(4,), (5,), (6,)]),
    # a column goes before a script's variable of its name
    ("DECLARE id INT64 DEFAULT 5; WITH c AS (SELECT 1 AS id) SELECT id FROM c", [(1,)]),
    ("DECLARE id INT64 DEFAULT 5; SELECT id FROM (SELECT 1 AS x)", [(5,)]),
]  # fmt: skip


@pytest.fixture(scope="module")
def here() -> Iterator[World]:
    connection = root()
    made = world(connection)
    made.do(MADE)
    yield made
    connection.close()


@pytest.mark.parametrize(("text", "message"), REFUSED, ids=[text for text, _ in REFUSED])
def test_types_that_do_not_meet_are_refused_in_bigquerys_words(here: World, text: str, message: str) -> None:
    assert message in here.refused(text)


@pytest.mark.parametrize(("text", "rows"), RIGHT, ids=[text for text, _ in RIGHT])
def test_types_that_do_meet_and_nan_have_their_documented_result(here: World, text: str, rows: Any) -> None:
    assert here.all(text) == rows
