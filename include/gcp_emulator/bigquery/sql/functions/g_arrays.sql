-- https://cloud.google.com/bigquery/docs/reference/standard-sql/array_functions and aggregates' results
CREATE MACRO _gsql.array_length(a) AS CAST(len(a) AS BIGINT);
CREATE MACRO _gsql.at(a, i, s) AS list_transform([{'a': a, 'i': CAST(i AS BIGINT)}], lambda gsql_v: CASE WHEN gsql_v['a'] IS NULL OR gsql_v['i'] IS NULL THEN NULL
  WHEN gsql_v['i'] - s < 0 OR gsql_v['i'] - s >= len(gsql_v['a']) THEN gsql_v['a'][1 + 0 * _gsql.fail(concat('Array index ', gsql_v['i'], ' is out of bounds'))] ELSE gsql_v['a'][gsql_v['i'] - s + 1] END)[1];
CREATE MACRO _gsql.safe_at(a, i, s) AS list_transform([{'a': a, 'i': CAST(i AS BIGINT)}], lambda gsql_v: CASE WHEN gsql_v['i'] - s < 0 OR gsql_v['i'] - s >= len(gsql_v['a']) THEN NULL ELSE gsql_v['a'][gsql_v['i'] - s + 1] END)[1];
CREATE MACRO _gsql.array_reverse(a) AS list_reverse(a);
CREATE MACRO _gsql.array_first(a) AS _gsql.at(a, 0, 0);
CREATE MACRO _gsql.array_last(a) AS CASE WHEN len(a) = 0 THEN a[1 + 0 * _gsql.fail('ARRAY_LAST cannot get the last element of an empty array')] ELSE a[-1] END;
CREATE MACRO _gsql.array_to_string (a VARCHAR[], s VARCHAR) AS _gsql_join(a, s, NULL), (a VARCHAR[], s VARCHAR, n VARCHAR) AS _gsql_join(a, s, n);
CREATE MACRO _gsql.generate_array
  (a BIGINT, b BIGINT) AS generate_series(a, b),
  (a BIGINT, b BIGINT, s BIGINT) AS CASE WHEN s = 0 THEN [_gsql.fail('Sequence step cannot be 0.')] ELSE generate_series(a, b, s) END;
CREATE MACRO _gsql.array_concat(l) AS CASE WHEN list_count(l) = len(l) THEN flatten(l) END;
CREATE MACRO _gsql.narrow
  (a HUGEINT) AS list_transform([a], lambda gsql_v: CASE WHEN gsql_v BETWEEN -9223372036854775808 AND 9223372036854775807 THEN CAST(gsql_v AS BIGINT)
    WHEN gsql_v IS NOT NULL THEN _gsql.fail('int64 overflow: SUM') END)[1], (a DOUBLE) AS a, (a DECIMAL(38,9)) AS CAST(a AS DECIMAL(38,9)), (a INTERVAL) AS a;
CREATE MACRO _gsql.smallest (a, b) AS a, (a BIGINT, b BIGINT) AS a, (a DECIMAL(38,9), b DECIMAL(38,9)) AS a,
  (a DOUBLE, b DOUBLE) AS CASE WHEN isnan(b) THEN b ELSE a END;
CREATE MACRO _gsql.average
  (s HUGEINT, n BIGINT) AS CAST(s AS DOUBLE) / nullif(n, 0), (s DOUBLE, n BIGINT) AS s / nullif(n, 0),
  (s DECIMAL(38,9), n BIGINT) AS _gsql.over_numeric(s, nullif(n, 0));
