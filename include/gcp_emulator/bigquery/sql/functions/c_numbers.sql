-- Operators and https://cloud.google.com/bigquery/docs/reference/standard-sql/mathematical_functions
-- A chain of native + and * is checked once: DuckDB gives infinity where Google's floating point overflows.
CREATE MACRO _gsql.checked
  (a) AS a, (a BIGINT) AS a, (a DECIMAL(38,9)) AS a, (a INTERVAL) AS a, (a TIMESTAMP) AS a, (a TIMESTAMPTZ) AS a, (a DATE) AS a, (a TIME) AS a,
  (a DOUBLE) AS list_transform([a], lambda gsql_v: CASE WHEN isinf(gsql_v) THEN _gsql.fail_double('Floating point overflow') ELSE gsql_v END)[1];
-- A literal with a point is a NUMERIC beside a NUMERIC, else a FLOAT64.
CREATE MACRO _gsql.literal_for (o, a, b) AS a, (o BIGINT, a, b) AS a, (o DOUBLE, a, b) AS a, (o DECIMAL(38,9), a, b) AS b;
CREATE MACRO _gsql.no_months(i) AS list_transform([i], lambda gsql_v: CASE WHEN datepart('year', gsql_v) <> 0 OR datepart('month', gsql_v) <> 0
  THEN CAST('BQ!TIMESTAMP +/- INTERVAL is not supported for intervals with non-zero MONTH or YEAR part.!QB' AS INTERVAL) ELSE gsql_v END)[1];
CREATE MACRO _gsql.plus
  (a, b) AS a + b, (a BIGINT, b BIGINT) AS a + b, (a DECIMAL(38,9), b DECIMAL(38,9)) AS a + b,
  (a DATE, b BIGINT) AS _gsql.in_range(a + CAST(b AS INTEGER)), (a BIGINT, b DATE) AS _gsql.in_range(b + CAST(a AS INTEGER)),
  (a TIMESTAMPTZ, b INTERVAL) AS _gsql.in_range(a + _gsql.no_months(b)), (a INTERVAL, b TIMESTAMPTZ) AS _gsql.in_range(b + _gsql.no_months(a)),
  (a TIMESTAMP, b INTERVAL) AS _gsql.in_range(a + b), (a INTERVAL, b TIMESTAMP) AS _gsql.in_range(a + b),
  (a DOUBLE, b DOUBLE) AS list_transform([{'a': a, 'b': b}], lambda gsql_v: CASE WHEN isinf(gsql_v['a'] + gsql_v['b']) AND NOT isinf(gsql_v['a']) AND NOT isinf(gsql_v['b'])
    THEN _gsql.fail_double(concat('Floating point error in function: ', _gsql_float_text(gsql_v['a']), ' + ', _gsql_float_text(gsql_v['b']))) ELSE gsql_v['a'] + gsql_v['b'] END)[1];
CREATE MACRO _gsql.minus
  (a, b) AS a - b, (a BIGINT, b BIGINT) AS a - b, (a DECIMAL(38,9), b DECIMAL(38,9)) AS a - b,
  (a DATE, b BIGINT) AS _gsql.in_range(a - CAST(b AS INTEGER)),
  (a TIMESTAMPTZ, b INTERVAL) AS _gsql.in_range(a - _gsql.no_months(b)), (a TIMESTAMP, b INTERVAL) AS _gsql.in_range(a - b), (a DATE, b DATE) AS to_days(CAST(a - b AS INTEGER)),
  (a TIMESTAMP, b TIMESTAMP) AS to_microseconds(epoch_us(a) - epoch_us(b)),
  (a TIMESTAMPTZ, b TIMESTAMPTZ) AS to_microseconds(epoch_us(a) - epoch_us(b)),
  (a DOUBLE, b DOUBLE) AS list_transform([{'a': a, 'b': b}], lambda gsql_v: CASE WHEN isinf(gsql_v['a'] - gsql_v['b']) AND NOT isinf(gsql_v['a']) AND NOT isinf(gsql_v['b'])
    THEN _gsql.fail_double(concat('Floating point error in function: ', _gsql_float_text(gsql_v['a']), ' - ', _gsql_float_text(gsql_v['b']))) ELSE gsql_v['a'] - gsql_v['b'] END)[1];
CREATE MACRO _gsql.times
  (a BIGINT, b BIGINT) AS a * b,
  (a DECIMAL(38,9), b DECIMAL(38,9)) AS CAST(_gsql_numeric_times(CAST(a AS VARCHAR), CAST(b AS VARCHAR)) AS DECIMAL(38,9)),
  (a DECIMAL(38,9), b BIGINT) AS CAST(_gsql_numeric_times(CAST(a AS VARCHAR), CAST(b AS VARCHAR)) AS DECIMAL(38,9)),
  (a BIGINT, b DECIMAL(38,9)) AS CAST(_gsql_numeric_times(CAST(a AS VARCHAR), CAST(b AS VARCHAR)) AS DECIMAL(38,9)),
  (a DECIMAL(38,9), b DOUBLE) AS CAST(a AS DOUBLE) * b, (a DOUBLE, b DECIMAL(38,9)) AS a * CAST(b AS DOUBLE),
  (a INTERVAL, b BIGINT) AS a * b, (a BIGINT, b INTERVAL) AS b * a,
  (a DOUBLE, b DOUBLE) AS list_transform([{'a': a, 'b': b}], lambda gsql_v: CASE WHEN isinf(gsql_v['a'] * gsql_v['b']) AND NOT isinf(gsql_v['a']) AND NOT isinf(gsql_v['b'])
    THEN _gsql.fail_double(concat('Floating point error in function: ', _gsql_float_text(gsql_v['a']), ' * ', _gsql_float_text(gsql_v['b']))) ELSE gsql_v['a'] * gsql_v['b'] END)[1];
CREATE MACRO _gsql.over_float(a, b) AS list_transform([{'a': a, 'b': b}], lambda gsql_v: CASE
  WHEN gsql_v['b'] = 0 AND gsql_v['a'] IS NOT NULL THEN _gsql.fail_double(concat('division by zero: ', _gsql_float_text(gsql_v['a']), ' / ', _gsql_float_text(gsql_v['b'])))
  WHEN isinf(gsql_v['a'] / gsql_v['b']) AND NOT isinf(gsql_v['a']) THEN _gsql.fail_double(concat('Floating point error in function: ', _gsql_float_text(gsql_v['a']), ' / ', _gsql_float_text(gsql_v['b'])))
  ELSE gsql_v['a'] / gsql_v['b'] END)[1];
CREATE MACRO _gsql.over_numeric(a, b) AS CAST(_gsql_numeric_over(CAST(a AS VARCHAR), CAST(b AS VARCHAR)) AS DECIMAL(38,9));
CREATE MACRO _gsql.over
  (a BIGINT, b BIGINT) AS _gsql.over_float(CAST(a AS DOUBLE), CAST(b AS DOUBLE)),
  (a DOUBLE, b DOUBLE) AS _gsql.over_float(a, b),
  (a DECIMAL(38,9), b DECIMAL(38,9)) AS _gsql.over_numeric(a, b),
  (a DECIMAL(38,9), b BIGINT) AS _gsql.over_numeric(a, b), (a BIGINT, b DECIMAL(38,9)) AS _gsql.over_numeric(a, b),
  (a DECIMAL(38,9), b DOUBLE) AS _gsql.over_float(CAST(a AS DOUBLE), b), (a DOUBLE, b DECIMAL(38,9)) AS _gsql.over_float(a, CAST(b AS DOUBLE));
CREATE MACRO _gsql.safe_divide
  (a BIGINT, b BIGINT) AS CAST(a AS DOUBLE) / nullif(CAST(b AS DOUBLE), 0),
  (a DOUBLE, b DOUBLE) AS list_transform([{'a': a, 'b': b}], lambda gsql_v: CASE WHEN gsql_v['b'] = 0 OR (isinf(gsql_v['a'] / nullif(gsql_v['b'], 0)) AND NOT isinf(gsql_v['a'])) THEN NULL ELSE gsql_v['a'] / nullif(gsql_v['b'], 0) END)[1],
  (a DECIMAL(38,9), b DECIMAL(38,9)) AS _gsql.over_numeric(a, nullif(b, 0)),
  (a DECIMAL(38,9), b BIGINT) AS _gsql.over_numeric(a, nullif(b, 0)), (a BIGINT, b DECIMAL(38,9)) AS _gsql.over_numeric(a, nullif(b, 0)),
  (a DECIMAL(38,9), b DOUBLE) AS CAST(a AS DOUBLE) / nullif(b, 0), (a DOUBLE, b DECIMAL(38,9)) AS a / nullif(CAST(b AS DOUBLE), 0);
CREATE MACRO _gsql.ieee_divide (a DOUBLE, b DOUBLE) AS list_transform([{'a': CAST(a AS DOUBLE), 'b': CAST(b AS DOUBLE)}], lambda gsql_v: CASE WHEN gsql_v['b'] <> 0 OR gsql_v['a'] IS NULL OR gsql_v['b'] IS NULL THEN gsql_v['a'] / nullif(gsql_v['b'], 0)
  WHEN gsql_v['a'] = 0 OR isnan(gsql_v['a']) THEN CAST('nan' AS DOUBLE) WHEN gsql_v['a'] > 0 THEN CAST('inf' AS DOUBLE) ELSE CAST('-inf' AS DOUBLE) END)[1];
CREATE MACRO _gsql.div
  (a BIGINT, b BIGINT) AS list_transform([{'a': a, 'b': b}], lambda gsql_v: CASE WHEN gsql_v['b'] = 0 THEN
    CASE WHEN gsql_v['a'] IS NOT NULL THEN _gsql.fail(concat('division by zero: ', gsql_v['a'], ' / ', gsql_v['b'])) END ELSE gsql_v['a'] // gsql_v['b'] END)[1];
CREATE MACRO _gsql.mod
  (a BIGINT, b BIGINT) AS list_transform([{'a': a, 'b': b}], lambda gsql_v: CASE WHEN gsql_v['b'] = 0 THEN
    CASE WHEN gsql_v['a'] IS NOT NULL THEN _gsql.fail(concat('division by zero: MOD(', gsql_v['a'], ', ', gsql_v['b'], ')')) END ELSE gsql_v['a'] % gsql_v['b'] END)[1],
  (a DECIMAL(38,9), b DECIMAL(38,9)) AS CASE WHEN b = 0 THEN _gsql.fail_numeric('division by zero: MOD') ELSE a % b END;
CREATE MACRO _gsql.safe_add (a BIGINT, b BIGINT) AS TRY_CAST(CAST(a AS HUGEINT) + b AS BIGINT), (a DOUBLE, b DOUBLE) AS a + b;
CREATE MACRO _gsql.safe_subtract (a BIGINT, b BIGINT) AS TRY_CAST(CAST(a AS HUGEINT) - b AS BIGINT), (a DOUBLE, b DOUBLE) AS a - b;
CREATE MACRO _gsql.safe_multiply (a BIGINT, b BIGINT) AS TRY_CAST(CAST(a AS HUGEINT) * b AS BIGINT), (a DOUBLE, b DOUBLE) AS a * b;
CREATE MACRO _gsql.negated (a BIGINT) AS 0 - a, (a DOUBLE) AS -a, (a DECIMAL(38,9)) AS -a, (a INTERVAL) AS -a;
CREATE MACRO _gsql.safe_negate (a BIGINT) AS TRY_CAST(-CAST(a AS HUGEINT) AS BIGINT), (a DOUBLE) AS -a;
CREATE MACRO _gsql.abs (a BIGINT) AS list_transform([a], lambda gsql_v: CASE WHEN gsql_v < 0 THEN 0 - gsql_v ELSE gsql_v END)[1], (a DOUBLE) AS abs(a), (a DECIMAL(38,9)) AS abs(a);
CREATE MACRO _gsql.sign (a BIGINT) AS CAST(sign(a) AS BIGINT), (a DOUBLE) AS CASE WHEN isnan(a) THEN a ELSE CAST(sign(a) AS DOUBLE) END, (a DECIMAL(38,9)) AS CAST(sign(a) AS DECIMAL(38,9));
CREATE MACRO _gsql.round
  (a BIGINT) AS CAST(a AS DOUBLE), (a DOUBLE) AS round(a), (a DECIMAL(38,9)) AS CAST(round(a) AS DECIMAL(38,9)),
  (a BIGINT, n BIGINT) AS _gsql_round(CAST(a AS DOUBLE), n), (a DOUBLE, n BIGINT) AS _gsql_round(a, n),
  (a DECIMAL(38,9), n BIGINT) AS CAST(_gsql_numeric_round(CAST(a AS VARCHAR), n, 'ROUND_HALF_UP') AS DECIMAL(38,9)),
  (a DECIMAL(38,9), n BIGINT, m VARCHAR) AS CAST(_gsql_numeric_round(CAST(a AS VARCHAR), n,
    CASE m WHEN 'ROUND_HALF_EVEN' THEN m WHEN 'ROUND_HALF_AWAY_FROM_ZERO' THEN 'ROUND_HALF_UP' END) AS DECIMAL(38,9));
CREATE MACRO _gsql.trunc
  (a BIGINT) AS CAST(a AS DOUBLE), (a DOUBLE) AS trunc(a), (a DECIMAL(38,9)) AS CAST(trunc(a) AS DECIMAL(38,9)),
  (a DOUBLE, n BIGINT) AS _gsql_trunc(a, n), (a DECIMAL(38,9), n BIGINT) AS CAST(_gsql_numeric_round(CAST(a AS VARCHAR), n, 'ROUND_DOWN') AS DECIMAL(38,9));
CREATE MACRO _gsql.ceil (a BIGINT) AS CAST(a AS DOUBLE), (a DOUBLE) AS ceil(a), (a DECIMAL(38,9)) AS CAST(ceil(a) AS DECIMAL(38,9));
CREATE MACRO _gsql.floor (a BIGINT) AS CAST(a AS DOUBLE), (a DOUBLE) AS floor(a), (a DECIMAL(38,9)) AS CAST(floor(a) AS DECIMAL(38,9));
CREATE MACRO _gsql.pow (a DOUBLE, b DOUBLE) AS _gsql_pow(CAST(a AS DOUBLE), CAST(b AS DOUBLE));
CREATE MACRO _gsql.sqrt (a DOUBLE) AS list_transform([CAST(a AS DOUBLE)], lambda gsql_v: CASE WHEN gsql_v < 0 THEN _gsql.fail_double(concat('Argument to SQRT cannot be negative: ', _gsql_float_text(gsql_v))) ELSE sqrt(gsql_v) END)[1];
CREATE MACRO _gsql.exp (a DOUBLE) AS list_transform([exp(CAST(a AS DOUBLE))], lambda gsql_v: CASE WHEN isinf(gsql_v) THEN _gsql.fail_double('Floating point error in function: EXP') ELSE gsql_v END)[1];
CREATE MACRO _gsql.ln (a DOUBLE) AS list_transform([CAST(a AS DOUBLE)], lambda gsql_v: CASE WHEN gsql_v <= 0 THEN _gsql.fail_double(concat('Floating point error in function: LN(', _gsql_float_text(gsql_v), ')')) ELSE ln(gsql_v) END)[1];
CREATE MACRO _gsql.log (a DOUBLE) AS _gsql.ln(a), (a DOUBLE, b DOUBLE) AS _gsql_log(CAST(a AS DOUBLE), CAST(b AS DOUBLE));
CREATE MACRO _gsql.log10 (a DOUBLE) AS _gsql_log(CAST(a AS DOUBLE), 10.0::DOUBLE);
CREATE MACRO _gsql.is_nan (a DOUBLE) AS isnan(CAST(a AS DOUBLE));
CREATE MACRO _gsql.is_inf (a DOUBLE) AS isinf(CAST(a AS DOUBLE));
CREATE MACRO _gsql.cbrt (a DOUBLE) AS cbrt(CAST(a AS DOUBLE));
CREATE MACRO _gsql.sin (a DOUBLE) AS sin(CAST(a AS DOUBLE));
CREATE MACRO _gsql.cos (a DOUBLE) AS cos(CAST(a AS DOUBLE));
CREATE MACRO _gsql.tan (a DOUBLE) AS tan(CAST(a AS DOUBLE));
CREATE MACRO _gsql.atan (a DOUBLE) AS atan(CAST(a AS DOUBLE));
CREATE MACRO _gsql.atan2 (a DOUBLE, b DOUBLE) AS atan2(CAST(a AS DOUBLE), CAST(b AS DOUBLE));
CREATE MACRO _gsql.greatest
  (l) AS CASE WHEN list_count(l) < len(l) THEN NULL ELSE list_max(l) END;
CREATE MACRO _gsql.least
  (l) AS CASE WHEN list_count(l) < len(l) THEN NULL ELSE list_min(l) END,
  (l DOUBLE[]) AS CASE WHEN list_count(l) < len(l) THEN NULL WHEN isnan(list_max(l)) THEN list_max(l) ELSE list_min(l) END,
  (l BIGINT[]) AS CASE WHEN list_count(l) < len(l) THEN NULL ELSE list_min(l) END,
  (l VARCHAR[]) AS CASE WHEN list_count(l) < len(l) THEN NULL ELSE list_min(l) END,
  (l DECIMAL(38,9)[]) AS CASE WHEN list_count(l) < len(l) THEN NULL ELSE list_min(l) END;
CREATE MACRO _gsql.bit_count (a BIGINT) AS CAST(bit_count(a) AS BIGINT);
CREATE MACRO _gsql.shift_left (a BIGINT, b BIGINT) AS _gsql_shift_left(a, b);
CREATE MACRO _gsql.shift_right (a BIGINT, b BIGINT) AS _gsql_shift_right(a, b);
-- A string is no number: DuckDB would read one out of it.
CREATE MACRO _gsql.unlike(a, b, s) AS CASE WHEN a IS NOT NULL AND b IS NOT NULL THEN
  _gsql.fail_bool(concat('No matching signature for operator ', s, ' for argument types: ', CASE WHEN typeof(a) = 'VARCHAR' THEN 'STRING, ' ELSE '' END, 'INT64', CASE WHEN typeof(a) = 'VARCHAR' THEN '' ELSE ', STRING' END)) END;
CREATE MACRO _gsql.eq (a VARCHAR, b BIGINT) AS _gsql.unlike(a, b, '='), (a BIGINT, b VARCHAR) AS _gsql.unlike(a, b, '='), (a VARCHAR, b VARCHAR) AS a = b, (a, b) AS a = b, (a BIGINT, b BIGINT) AS a = b, (a DECIMAL(38,9), b DECIMAL(38,9)) AS a = b,
  (a DOUBLE, b DOUBLE) AS a = b AND (NOT isnan(a) OR (b IS NULL AND NULL)) AND (NOT isnan(b) OR (a IS NULL AND NULL));
CREATE MACRO _gsql.ne (a VARCHAR, b BIGINT) AS _gsql.unlike(a, b, '!='), (a BIGINT, b VARCHAR) AS _gsql.unlike(a, b, '!='), (a VARCHAR, b VARCHAR) AS a <> b, (a, b) AS a <> b, (a BIGINT, b BIGINT) AS a <> b, (a DECIMAL(38,9), b DECIMAL(38,9)) AS a <> b,
  (a DOUBLE, b DOUBLE) AS a <> b OR ((isnan(a) OR isnan(b)) AND a IS NOT NULL AND b IS NOT NULL);
CREATE MACRO _gsql.lt (a VARCHAR, b BIGINT) AS _gsql.unlike(a, b, '<'), (a BIGINT, b VARCHAR) AS _gsql.unlike(a, b, '<'), (a VARCHAR, b VARCHAR) AS a < b, (a, b) AS a < b, (a BIGINT, b BIGINT) AS a < b, (a DECIMAL(38,9), b DECIMAL(38,9)) AS a < b,
  (a DOUBLE, b DOUBLE) AS a < b AND (NOT isnan(b) OR (a IS NULL AND NULL));
CREATE MACRO _gsql.le (a VARCHAR, b BIGINT) AS _gsql.unlike(a, b, '<='), (a BIGINT, b VARCHAR) AS _gsql.unlike(a, b, '<='), (a VARCHAR, b VARCHAR) AS a <= b, (a, b) AS a <= b, (a BIGINT, b BIGINT) AS a <= b, (a DECIMAL(38,9), b DECIMAL(38,9)) AS a <= b,
  (a DOUBLE, b DOUBLE) AS a <= b AND (NOT isnan(b) OR (a IS NULL AND NULL));
-- NaN: nothing is equal to it or beside it in order, but sorted it comes after NULL and before all numbers.
CREATE MACRO _gsql.nan_rank (a) AS CAST(0 AS BIGINT), (a BIGINT) AS CAST(0 AS BIGINT), (a VARCHAR) AS CAST(0 AS BIGINT), (a DECIMAL(38,9)) AS CAST(0 AS BIGINT),
  (a DOUBLE) AS CASE WHEN isnan(a) THEN 0 WHEN a IS NOT NULL THEN 1 END;
CREATE MACRO _gsql.or_null (a) AS a, (a BIGINT) AS a, (a VARCHAR) AS a, (a DECIMAL(38,9)) AS a, (a DOUBLE) AS CASE WHEN NOT isnan(a) THEN a END;
CREATE MACRO _gsql.no_nan (a) AS a, (a BIGINT) AS a, (a VARCHAR) AS a, (a DECIMAL(38,9)) AS a,
  (a DOUBLE) AS CASE WHEN isnan(a) THEN _gsql.fail_double('NaN is not supported here by the emulator') ELSE a END;
CREATE MACRO _gsql.listed (a, r) AS r, (a BIGINT, r) AS r, (a VARCHAR, r) AS r, (a DECIMAL(38,9), r) AS r,
  (a DOUBLE, r) AS CASE WHEN isnan(a) AND r THEN _gsql.fail_bool('IN of NaN with NaN is not supported by the emulator') ELSE r END;
CREATE MACRO _gsql.between (a, b, c) AS a BETWEEN b AND c, (a BIGINT, b BIGINT, c BIGINT) AS a BETWEEN b AND c, (a VARCHAR, b VARCHAR, c VARCHAR) AS a BETWEEN b AND c,
  (a DECIMAL(38,9), b DECIMAL(38,9), c DECIMAL(38,9)) AS a BETWEEN b AND c,
  (a DOUBLE, b DOUBLE, c DOUBLE) AS _gsql.le(b, a) AND _gsql.le(a, c);
