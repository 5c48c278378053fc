-- https://cloud.google.com/bigquery/docs/reference/standard-sql/json_functions
CREATE MACRO _gsql.json_value (a VARCHAR) AS _gsql_json_value(CAST(a AS VARCHAR), '$'), (a VARCHAR, p VARCHAR) AS _gsql_json_value(CAST(a AS VARCHAR), p);
CREATE MACRO _gsql.json_query
  (a VARCHAR, p VARCHAR) AS _gsql_json_query(a, p), (a VARCHAR) AS _gsql_json_query(a, '$'),
  (a JSON, p VARCHAR) AS CAST(_gsql_json_query_json(CAST(a AS VARCHAR), p) AS JSON), (a JSON) AS a;
CREATE MACRO _gsql.json_query_array
  (a VARCHAR, p VARCHAR) AS _gsql_json_array(a, p), (a VARCHAR) AS _gsql_json_array(a, '$'),
  (a JSON, p VARCHAR) AS CAST(_gsql_json_array(CAST(a AS VARCHAR), p) AS JSON[]), (a JSON) AS CAST(_gsql_json_array(CAST(a AS VARCHAR), '$') AS JSON[]);
CREATE MACRO _gsql.json_value_array (a VARCHAR, p VARCHAR) AS _gsql_json_values(CAST(a AS VARCHAR), p), (a VARCHAR) AS _gsql_json_values(CAST(a AS VARCHAR), '$');
CREATE MACRO _gsql.parse_json (a VARCHAR) AS CAST(_gsql_json_parse(a, 'exact') AS JSON), (a VARCHAR, m VARCHAR) AS CAST(_gsql_json_parse(a, m) AS JSON);
CREATE MACRO _gsql.safe_parse_json (a VARCHAR) AS CAST(_gsql_json_safe_parse(a) AS JSON);
CREATE MACRO _gsql.to_json(a) AS CAST(_gsql_json_text(CAST(to_json(a) AS VARCHAR), typeof(a), 'json') AS JSON);
CREATE MACRO _gsql.to_json_string (a) AS _gsql_json_text(CAST(to_json(a) AS VARCHAR), typeof(a), 'text'),
  (a, p) AS _gsql_json_text(CAST(to_json(a) AS VARCHAR), typeof(a), CASE WHEN p THEN 'pretty' ELSE 'text' END);
CREATE MACRO _gsql.json_type (a JSON) AS _gsql_json_type(CAST(a AS VARCHAR));
CREATE MACRO _gsql.json_keys (a JSON) AS list_sort(json_keys(a));
CREATE MACRO _gsql.string_of
  (a VARCHAR) AS _gsql_json_scalar(CAST(a AS VARCHAR), 'string'), (a DATE) AS _gsql.to_string(a), (a TIMESTAMP) AS _gsql.to_string(a),
  (a TIMESTAMPTZ) AS _gsql.to_string(a), (a TIME) AS _gsql.to_string(a), (a TIMESTAMPTZ, z VARCHAR) AS _gsql_format_timestamp('%E4Y-%m-%d %H:%M:%E*S%Ez', epoch_us(a), z);
CREATE MACRO _gsql.int64 (a JSON) AS CAST(_gsql_json_scalar(CAST(a AS VARCHAR), 'int64') AS BIGINT);
CREATE MACRO _gsql.float64 (a JSON) AS CAST(_gsql_json_scalar(CAST(a AS VARCHAR), 'float64') AS DOUBLE);
CREATE MACRO _gsql.bool (a JSON) AS CAST(_gsql_json_scalar(CAST(a AS VARCHAR), 'bool') AS BOOLEAN);
CREATE MACRO _gsql.lax_string (a JSON) AS _gsql_json_lax(CAST(a AS VARCHAR), 'string');
CREATE MACRO _gsql.lax_int64 (a JSON) AS CAST(_gsql_json_lax(CAST(a AS VARCHAR), 'int64') AS BIGINT);
CREATE MACRO _gsql.lax_float64 (a JSON) AS CAST(_gsql_json_lax(CAST(a AS VARCHAR), 'float64') AS DOUBLE);
CREATE MACRO _gsql.lax_bool (a JSON) AS CAST(_gsql_json_lax(CAST(a AS VARCHAR), 'bool') AS BOOLEAN);
CREATE MACRO _gsql.json_item (a JSON, k VARCHAR) AS CAST(_gsql_json_item(CAST(a AS VARCHAR), k, NULL) AS JSON), (a JSON, k BIGINT) AS CAST(_gsql_json_item(CAST(a AS VARCHAR), NULL, k) AS JSON);
