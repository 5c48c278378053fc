-- What fails with a message of ours. error() is volatile, which keeps it out of lambdas: a cast of the message fails instead.
CREATE MACRO _gsql.fail(m) AS CAST(concat('BQ!', m, '!QB') AS BIGINT);
CREATE MACRO _gsql.fail_text(m) AS CAST(CAST(concat('BQ!', m, '!QB') AS BIGINT) AS VARCHAR);
CREATE MACRO _gsql.fail_bytes(m) AS encode(CAST(CAST(concat('BQ!', m, '!QB') AS BIGINT) AS VARCHAR));
CREATE MACRO _gsql.fail_double(m) AS CAST(concat('BQ!', m, '!QB') AS DOUBLE);
CREATE MACRO _gsql.fail_bool(m) AS CAST(concat('BQ!', m, '!QB') AS BOOLEAN);
CREATE MACRO _gsql.fail_date(m) AS CAST(concat('BQ!', m, '!QB') AS DATE);
CREATE MACRO _gsql.fail_datetime(m) AS CAST(concat('BQ!', m, '!QB') AS TIMESTAMP);
CREATE MACRO _gsql.fail_timestamp(m) AS CAST(concat('BQ!', m, '!QB') AS TIMESTAMPTZ);
CREATE MACRO _gsql.fail_time(m) AS CAST(concat('BQ!', m, '!QB') AS TIME);
CREATE MACRO _gsql.fail_numeric(m) AS CAST(concat('BQ!', m, '!QB') AS DECIMAL(38,9));
