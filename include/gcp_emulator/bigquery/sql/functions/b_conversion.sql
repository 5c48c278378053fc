-- CAST and SAFE_CAST: https://cloud.google.com/bigquery/docs/reference/standard-sql/conversion_functions
-- try_x gives NULL where there is no x in the text; to_x fails in Google's words; safe_x is SAFE_CAST.
CREATE MACRO _gsql.fraction(a) AS
  CASE WHEN a % 1000000 = 0 THEN ''
       WHEN a % 1000 = 0 THEN concat('.', lpad(CAST((a % 1000000) // 1000 AS VARCHAR), 3, '0'))
       ELSE concat('.', lpad(CAST(a % 1000000 AS VARCHAR), 6, '0')) END;
CREATE MACRO _gsql.moment(a) AS
  CASE WHEN a IS NOT NULL THEN concat(lpad(CAST(year(a) AS VARCHAR), 4, '0'), strftime(a, '-%m-%d %H:%M:%S'),
    _gsql.fraction((epoch_us(a) % 1000000 + 1000000) % 1000000)) END;
CREATE MACRO _gsql.numeric_text(a) AS
  regexp_replace(regexp_replace(CAST(a AS VARCHAR), '(\.\d*?)0+$', '\1'), '\.$', '');

CREATE MACRO _gsql.to_string
  (a VARCHAR) AS CASE WHEN typeof(a) = 'JSON' THEN _gsql.fail_text('Invalid cast from JSON to STRING') ELSE a END,
  (a BIGINT) AS CAST(a AS VARCHAR),
  (a DOUBLE) AS _gsql_float_text(a),
  (a BOOLEAN) AS CAST(a AS VARCHAR),
  (a DECIMAL(38,9)) AS _gsql.numeric_text(a),
  (a BLOB) AS decode(a),
  (a DATE) AS CASE WHEN a IS NOT NULL THEN concat(lpad(CAST(year(a) AS VARCHAR), 4, '0'), strftime(a, '-%m-%d')) END,
  (a TIMESTAMP) AS _gsql.moment(a),
  (a TIMESTAMPTZ) AS concat_ws('', _gsql.moment(timezone('UTC', a)), CASE WHEN a IS NOT NULL THEN '+00' END),
  (a TIME) AS CASE WHEN a IS NOT NULL THEN
    concat(strftime(DATE '2000-01-01' + a, '%H:%M:%S'), _gsql.fraction(epoch_us(a))) END,
  (a INTERVAL) AS _gsql_interval_text(datepart('year', a) * 12 + datepart('month', a), CAST(datepart('day', a) AS BIGINT),
    CAST(epoch_us(CAST(TIMESTAMP '1970-01-01' + (a - to_months(CAST(datepart('year', a) * 12 + datepart('month', a) AS INTEGER)) - to_days(CAST(datepart('day', a) AS INTEGER))) AS TIMESTAMP)) AS BIGINT));

CREATE MACRO _gsql.try_int(a) AS
  CASE WHEN regexp_full_match(a, '\s*[+-]?\d+\s*') THEN TRY_CAST(trim(a, ' ' || chr(9) || chr(10) || chr(13)) AS BIGINT)
       WHEN regexp_full_match(a, '\s*[+-]?0[xX][0-9a-fA-F]+\s*') THEN _gsql_hex_int(a) END;
CREATE MACRO _gsql.try_float(a) AS
  CASE WHEN regexp_full_match(a, '(?i)\s*[+-]?((\d+\.?\d*|\.\d+)(e[+-]?\d+)?|inf|infinity|nan)\s*') THEN TRY_CAST(trim(a) AS DOUBLE) END;
CREATE MACRO _gsql.try_bool(a) AS CASE lower(a) WHEN 'true' THEN true WHEN 'false' THEN false END;
CREATE MACRO _gsql.try_numeric(a) AS
  CASE WHEN regexp_full_match(a, '(?i)\s*[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?\s*') THEN CAST(_gsql_numeric(trim(a)) AS DECIMAL(38,9)) END;
CREATE MACRO _gsql.try_date(a) AS
  CASE WHEN regexp_full_match(a, '\s*\d{4}-\d{1,2}-\d{1,2}\s*') THEN TRY_CAST(a AS DATE)
       WHEN regexp_full_match(a, '\s*\d{4}-\d{1,2}-\d{1,2}[ Tt]\d{1,2}:\d{1,2}:\d{1,2}(\.\d{1,6})?\s*') THEN CAST(TRY_CAST(a AS TIMESTAMP) AS DATE) END;
CREATE MACRO _gsql.try_datetime(a) AS
  CASE WHEN regexp_full_match(a, '\s*\d{4}-\d{1,2}-\d{1,2}([ Tt]\d{1,2}:\d{1,2}:\d{1,2}(\.\d{1,6})?)?\s*') THEN TRY_CAST(a AS TIMESTAMP) END;
CREATE MACRO _gsql.try_timestamp(a) AS make_timestamptz(_gsql_timestamp(a));
CREATE MACRO _gsql.try_time(a) AS
  CASE WHEN regexp_full_match(a, '\s*\d{1,2}:\d{1,2}:\d{1,2}(\.\d{1,6})?\s*') AND NOT regexp_matches(a, '^\s*24') THEN TRY_CAST(a AS TIME) END;
CREATE MACRO _gsql.int_of_float(a) AS CASE WHEN abs(a) < 9223372036854775808.0::DOUBLE THEN CAST(round(a) AS BIGINT) END;

CREATE MACRO _gsql.safe_int64
  (a BIGINT) AS a, (a BOOLEAN) AS CAST(a AS BIGINT), (a VARCHAR) AS _gsql.try_int(a),
  (a DOUBLE) AS _gsql.int_of_float(a), (a DECIMAL(38,9)) AS TRY_CAST(round(a) AS BIGINT);
CREATE MACRO _gsql.to_int64
  (a BIGINT) AS a, (a BOOLEAN) AS CAST(a AS BIGINT),
  (a VARCHAR) AS list_transform([a], lambda gsql_v: CASE WHEN gsql_v IS NULL THEN NULL ELSE
    coalesce(_gsql.try_int(gsql_v), _gsql.fail(concat('Bad int64 value: ', gsql_v))) END)[1],
  (a DOUBLE) AS list_transform([a], lambda gsql_v: CASE WHEN gsql_v IS NULL THEN NULL ELSE coalesce(_gsql.int_of_float(gsql_v),
    _gsql.fail(concat(CASE WHEN isfinite(gsql_v) THEN 'int64 out of range: ' ELSE 'Illegal conversion of non-finite floating point number to an integer: ' END, _gsql_float_text(gsql_v)))) END)[1],
  (a DECIMAL(38,9)) AS list_transform([a], lambda gsql_v: CASE WHEN gsql_v IS NULL THEN NULL ELSE
    coalesce(TRY_CAST(round(gsql_v) AS BIGINT), _gsql.fail(concat('int64 out of range: ', _gsql.numeric_text(gsql_v)))) END)[1];

CREATE MACRO _gsql.safe_float64
  (a BIGINT) AS CAST(a AS DOUBLE), (a DOUBLE) AS a, (a DECIMAL(38,9)) AS CAST(a AS DOUBLE), (a VARCHAR) AS _gsql.try_float(a);
CREATE MACRO _gsql.to_float64
  (a BIGINT) AS CAST(a AS DOUBLE), (a DOUBLE) AS a, (a DECIMAL(38,9)) AS CAST(a AS DOUBLE),
  (a VARCHAR) AS list_transform([a], lambda gsql_v: CASE WHEN gsql_v IS NULL THEN NULL ELSE
    coalesce(_gsql.try_float(gsql_v), _gsql.fail_double(concat('Bad double value: ', gsql_v))) END)[1];

CREATE MACRO _gsql.safe_bool
  (a BOOLEAN) AS a, (a BIGINT) AS a <> 0, (a VARCHAR) AS _gsql.try_bool(a);
CREATE MACRO _gsql.to_bool
  (a BOOLEAN) AS a, (a BIGINT) AS a <> 0,
  (a VARCHAR) AS list_transform([a], lambda gsql_v: CASE WHEN gsql_v IS NULL THEN NULL ELSE
    coalesce(_gsql.try_bool(gsql_v), _gsql.fail_bool(concat('Bad bool value: ', gsql_v))) END)[1];

CREATE MACRO _gsql.safe_numeric
  (a BIGINT) AS CAST(a AS DECIMAL(38,9)), (a DECIMAL(38,9)) AS TRY_CAST(a AS DECIMAL(38,9)),
  (a DOUBLE) AS CASE WHEN abs(a) < 1e29::DOUBLE THEN _gsql.try_numeric(_gsql_float_text(a)) END,
  (a VARCHAR) AS _gsql.try_numeric(a);
CREATE MACRO _gsql.to_numeric
  (a BIGINT) AS CAST(a AS DECIMAL(38,9)), (a DECIMAL(38,9)) AS CAST(a AS DECIMAL(38,9)),
  (a DOUBLE) AS list_transform([a], lambda gsql_v: CASE WHEN gsql_v IS NULL THEN NULL ELSE coalesce(
    CASE WHEN abs(gsql_v) < 1e29::DOUBLE THEN _gsql.try_numeric(_gsql_float_text(gsql_v)) END, _gsql.fail_numeric(concat('numeric out of range: ', _gsql_float_text(gsql_v)))) END)[1],
  (a VARCHAR) AS list_transform([a], lambda gsql_v: CASE WHEN gsql_v IS NULL THEN NULL ELSE
    coalesce(_gsql.try_numeric(gsql_v), _gsql.fail_numeric(concat('Invalid NUMERIC value: ', gsql_v))) END)[1];

CREATE MACRO _gsql.safe_string
  (a VARCHAR) AS _gsql.to_string(a), (a BIGINT) AS _gsql.to_string(a), (a DOUBLE) AS _gsql.to_string(a), (a BOOLEAN) AS _gsql.to_string(a),
  (a DECIMAL(38,9)) AS _gsql.to_string(a), (a BLOB) AS _gsql_safe_decode(a), (a DATE) AS _gsql.to_string(a),
  (a TIMESTAMP) AS _gsql.to_string(a), (a TIMESTAMPTZ) AS _gsql.to_string(a), (a TIME) AS _gsql.to_string(a);
CREATE MACRO _gsql.to_bytes (a VARCHAR) AS encode(a), (a BLOB) AS a;
CREATE MACRO _gsql.safe_bytes (a VARCHAR) AS encode(a), (a BLOB) AS a;

CREATE MACRO _gsql.safe_date
  (a DATE) AS a, (a TIMESTAMP) AS CAST(a AS DATE), (a TIMESTAMPTZ) AS CAST(timezone('UTC', a) AS DATE), (a VARCHAR) AS _gsql.try_date(a);
CREATE MACRO _gsql.to_date
  (a DATE) AS a, (a TIMESTAMP) AS CAST(a AS DATE), (a TIMESTAMPTZ) AS CAST(timezone('UTC', a) AS DATE),
  (a VARCHAR) AS list_transform([a], lambda gsql_v: CASE WHEN gsql_v IS NULL THEN NULL ELSE
    coalesce(_gsql.try_date(gsql_v), _gsql.fail_date(concat('Invalid date: ''', gsql_v, ''''))) END)[1];

CREATE MACRO _gsql.safe_datetime
  (a DATE) AS CAST(a AS TIMESTAMP), (a TIMESTAMP) AS a, (a TIMESTAMPTZ) AS timezone('UTC', a), (a VARCHAR) AS _gsql.try_datetime(a);
CREATE MACRO _gsql.to_datetime
  (a DATE) AS CAST(a AS TIMESTAMP), (a TIMESTAMP) AS a, (a TIMESTAMPTZ) AS timezone('UTC', a),
  (a VARCHAR) AS list_transform([a], lambda gsql_v: CASE WHEN gsql_v IS NULL THEN NULL ELSE
    coalesce(_gsql.try_datetime(gsql_v), _gsql.fail_datetime(concat('Invalid datetime string "', gsql_v, '"'))) END)[1];

CREATE MACRO _gsql.safe_timestamp
  (a DATE) AS timezone('UTC', CAST(a AS TIMESTAMP)), (a TIMESTAMP) AS timezone('UTC', a), (a TIMESTAMPTZ) AS a, (a VARCHAR) AS _gsql.try_timestamp(a);
CREATE MACRO _gsql.to_timestamp
  (a DATE) AS timezone('UTC', CAST(a AS TIMESTAMP)), (a TIMESTAMP) AS timezone('UTC', a), (a TIMESTAMPTZ) AS a,
  (a VARCHAR) AS list_transform([a], lambda gsql_v: CASE WHEN gsql_v IS NULL THEN NULL ELSE
    coalesce(_gsql.try_timestamp(gsql_v), _gsql.fail_timestamp(concat('Invalid timestamp: ''', gsql_v, ''''))) END)[1];

CREATE MACRO _gsql.safe_time
  (a TIME) AS a, (a TIMESTAMP) AS CAST(a AS TIME), (a TIMESTAMPTZ) AS CAST(timezone('UTC', a) AS TIME), (a VARCHAR) AS _gsql.try_time(a);
CREATE MACRO _gsql.to_time
  (a TIME) AS a, (a TIMESTAMP) AS CAST(a AS TIME), (a TIMESTAMPTZ) AS CAST(timezone('UTC', a) AS TIME),
  (a VARCHAR) AS list_transform([a], lambda gsql_v: CASE WHEN gsql_v IS NULL THEN NULL ELSE
    coalesce(_gsql.try_time(gsql_v), _gsql.fail_time(concat('Invalid time string "', gsql_v, '"'))) END)[1];
-- Years are 1 to 9999.
CREATE MACRO _gsql.in_range
  (a DATE) AS list_transform([a], lambda gsql_d: CASE WHEN gsql_d NOT BETWEEN DATE '0001-01-01' AND DATE '9999-12-31' THEN _gsql.fail_date(concat('Date arithmetic causes overflow: ', gsql_d)) ELSE gsql_d END)[1],
  (a TIMESTAMP) AS list_transform([a], lambda gsql_d: CASE WHEN gsql_d NOT BETWEEN TIMESTAMP '0001-01-01' AND TIMESTAMP '9999-12-31 23:59:59.999999' THEN _gsql.fail_datetime(concat('Datetime arithmetic causes overflow: ', gsql_d)) ELSE gsql_d END)[1],
  (a TIMESTAMPTZ) AS list_transform([a], lambda gsql_d: CASE WHEN timezone('UTC', gsql_d) NOT BETWEEN TIMESTAMP '0001-01-01' AND TIMESTAMP '9999-12-31 23:59:59.999999' THEN _gsql.fail_timestamp(concat('Timestamp arithmetic causes overflow: ', gsql_d)) ELSE gsql_d END)[1];
