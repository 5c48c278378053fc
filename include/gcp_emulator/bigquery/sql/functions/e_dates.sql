-- https://cloud.google.com/bigquery/docs/reference/standard-sql/date_functions, datetime_, time_ and timestamp_functions
-- Macros of one date part are made in parts.py: trunc_<part>, diff_<part>, extract_<part>, shift_<part>.
CREATE MACRO _gsql.utc(a) AS timezone('UTC', a);
CREATE MACRO _gsql.zoned (a, z VARCHAR) AS timezone(_gsql_zone(z), a);
-- A clock's time in a zone: the earlier moment where the clock shows it twice, refused where it never does.
CREATE MACRO _gsql.moment_of (a TIMESTAMP, z VARCHAR) AS list_transform([{'a': a, 'z': _gsql_zone(z), 't': timezone(_gsql_zone(z), a)}], lambda gsql_v: CASE
  WHEN timezone(gsql_v['z'], gsql_v['t'] - to_hours(1)) = gsql_v['a'] THEN gsql_v['t'] - to_hours(1)
  WHEN timezone(gsql_v['z'], gsql_v['t']) <> gsql_v['a'] THEN _gsql.fail_timestamp(concat('A time that the zone skips (', gsql_v['a'], ' ', gsql_v['z'], ') is not supported by the emulator'))
  ELSE gsql_v['t'] END)[1];
CREATE MACRO _gsql.clock(h, m, s) AS CASE WHEN h NOT BETWEEN 0 AND 23 OR m NOT BETWEEN 0 AND 59 OR s NOT BETWEEN 0 AND 59 THEN _gsql.fail(concat('Input calculates to invalid time: ', h, ':', m, ':', s)) ELSE h END;
CREATE MACRO _gsql.date_of
  (a DATE) AS a, (a TIMESTAMP) AS CAST(a AS DATE), (a TIMESTAMPTZ) AS CAST(timezone('UTC', a) AS DATE), (a VARCHAR) AS _gsql.to_date(a),
  (a TIMESTAMPTZ, z VARCHAR) AS CAST(timezone(_gsql_zone(z), a) AS DATE),
  (y BIGINT, m BIGINT, d BIGINT) AS make_date(y, m, d);
CREATE MACRO _gsql.datetime_of
  (a DATE) AS CAST(a AS TIMESTAMP), (a TIMESTAMP) AS a, (a TIMESTAMPTZ) AS timezone('UTC', a), (a VARCHAR) AS _gsql.to_datetime(a),
  (a TIMESTAMPTZ, z VARCHAR) AS timezone(_gsql_zone(z), a), (a DATE, t TIME) AS a + t,
  (y BIGINT, m BIGINT, d BIGINT, h BIGINT, n BIGINT, s BIGINT) AS make_timestamp(y, m, d, _gsql.clock(h, n, s), n, CAST(s AS DOUBLE));
CREATE MACRO _gsql.timestamp_of
  (a DATE) AS timezone('UTC', CAST(a AS TIMESTAMP)), (a TIMESTAMP) AS timezone('UTC', a), (a TIMESTAMPTZ) AS a, (a VARCHAR) AS _gsql.to_timestamp(a),
  (a DATE, z VARCHAR) AS _gsql.moment_of(CAST(a AS TIMESTAMP), z), (a TIMESTAMP, z VARCHAR) AS _gsql.moment_of(a, z),
  (a VARCHAR, z VARCHAR) AS _gsql.moment_of(_gsql.to_datetime(a), z);
CREATE MACRO _gsql.time_of
  (a TIME) AS a, (a TIMESTAMP) AS CAST(a AS TIME), (a TIMESTAMPTZ) AS CAST(timezone('UTC', a) AS TIME), (a TIMESTAMPTZ, z VARCHAR) AS CAST(timezone(_gsql_zone(z), a) AS TIME),
  (h BIGINT, m BIGINT, s BIGINT) AS make_time(_gsql.clock(h, m, s), m, CAST(s AS DOUBLE));
CREATE MACRO _gsql.now_micros() AS epoch_us(now());
CREATE MACRO _gsql.current_timestamp() AS now();
CREATE MACRO _gsql.current_date () AS CAST(timezone('UTC', now()) AS DATE), (z) AS CAST(timezone(_gsql_zone(z), now()) AS DATE);
CREATE MACRO _gsql.current_datetime () AS timezone('UTC', now()), (z) AS timezone(_gsql_zone(z), now());
CREATE MACRO _gsql.current_time () AS CAST(timezone('UTC', now()) AS TIME), (z) AS CAST(timezone(_gsql_zone(z), now()) AS TIME);
CREATE MACRO _gsql.unix_seconds (a TIMESTAMPTZ) AS CAST(floor(epoch_us(a) / 1000000) AS BIGINT);
CREATE MACRO _gsql.unix_millis (a TIMESTAMPTZ) AS CAST(floor(epoch_us(a) / 1000) AS BIGINT);
CREATE MACRO _gsql.unix_micros (a TIMESTAMPTZ) AS epoch_us(a);
CREATE MACRO _gsql.unix_date (a DATE) AS CAST(a - DATE '1970-01-01' AS BIGINT);
CREATE MACRO _gsql.timestamp_seconds (a BIGINT) AS _gsql.in_range(make_timestamptz(a * 1000000));
CREATE MACRO _gsql.timestamp_millis (a BIGINT) AS _gsql.in_range(make_timestamptz(a * 1000));
CREATE MACRO _gsql.timestamp_micros (a BIGINT) AS _gsql.in_range(make_timestamptz(a));
CREATE MACRO _gsql.date_from_unix_date (a BIGINT) AS _gsql.in_range(DATE '1970-01-01' + CAST(a AS INTEGER));
CREATE MACRO _gsql.format_timestamp
  (f VARCHAR, a TIMESTAMPTZ) AS _gsql_format_timestamp(f, epoch_us(a), 'UTC'), (f VARCHAR, a TIMESTAMPTZ, z VARCHAR) AS _gsql_format_timestamp(f, epoch_us(a), z);
CREATE MACRO _gsql.format_date (f VARCHAR, a DATE) AS _gsql_format_civil(f, epoch_us(CAST(a AS TIMESTAMP)), 'date'), (f VARCHAR, a TIMESTAMP) AS _gsql_format_civil(f, epoch_us(a), 'datetime');
CREATE MACRO _gsql.format_datetime (f VARCHAR, a TIMESTAMP) AS _gsql_format_civil(f, epoch_us(a), 'datetime'), (f VARCHAR, a DATE) AS _gsql_format_civil(f, epoch_us(CAST(a AS TIMESTAMP)), 'datetime');
CREATE MACRO _gsql.format_time (f VARCHAR, a TIME) AS _gsql_format_civil(f, epoch_us(a), 'time');
CREATE MACRO _gsql.parse_timestamp
  (f VARCHAR, a VARCHAR) AS make_timestamptz(_gsql_parse(f, a, 'UTC', 'timestamp')), (f VARCHAR, a VARCHAR, z VARCHAR) AS make_timestamptz(_gsql_parse(f, a, z, 'timestamp'));
CREATE MACRO _gsql.parse_date (f VARCHAR, a VARCHAR) AS CAST(make_timestamp(_gsql_parse(f, a, 'UTC', 'date')) AS DATE);
CREATE MACRO _gsql.parse_datetime (f VARCHAR, a VARCHAR) AS make_timestamp(_gsql_parse(f, a, 'UTC', 'datetime'));
CREATE MACRO _gsql.parse_time (f VARCHAR, a VARCHAR) AS CAST(make_timestamp(_gsql_parse(f, a, 'UTC', 'time')) AS TIME);
