-- https://cloud.google.com/bigquery/docs/reference/standard-sql/string_functions
CREATE MACRO _gsql.upper (a VARCHAR) AS CASE WHEN strlen(a) = length(a) THEN upper(a) ELSE _gsql_upper(a) END;
CREATE MACRO _gsql.lower (a VARCHAR) AS CASE WHEN strlen(a) = length(a) THEN lower(a) ELSE _gsql_lower(a) END;
CREATE MACRO _gsql.initcap (a VARCHAR) AS _gsql_initcap(a, NULL), (a VARCHAR, d VARCHAR) AS _gsql_initcap(a, d);
CREATE MACRO _gsql.length (a VARCHAR) AS length(a), (a BLOB) AS octet_length(a);
CREATE MACRO _gsql.char_length (a VARCHAR) AS length(a);
CREATE MACRO _gsql.byte_length (a VARCHAR) AS strlen(a), (a BLOB) AS octet_length(a);
CREATE MACRO _gsql.substr
  (a VARCHAR, p BIGINT) AS _gsql_substr(a, p, 9223372036854775807), (a VARCHAR, p BIGINT, n BIGINT) AS _gsql_substr(a, p, n),
  (a BLOB, p BIGINT) AS _gsql_substr_bytes(a, p, 9223372036854775807), (a BLOB, p BIGINT, n BIGINT) AS _gsql_substr_bytes(a, p, n);
CREATE MACRO _gsql.left (a VARCHAR, n BIGINT) AS CASE WHEN n < 0 THEN _gsql.fail_text('Second argument in LEFT() cannot be negative') ELSE left(a, n) END,
  (a BLOB, n BIGINT) AS _gsql_substr_bytes(a, 1, n);
CREATE MACRO _gsql.right (a VARCHAR, n BIGINT) AS CASE WHEN n < 0 THEN _gsql.fail_text('Second argument in RIGHT() cannot be negative') ELSE right(a, n) END;
CREATE MACRO _gsql.trim (a VARCHAR) AS _gsql_trim(a, NULL, 'b'), (a VARCHAR, c VARCHAR) AS CASE WHEN c IS NOT NULL THEN _gsql_trim(a, c, 'b') END;
CREATE MACRO _gsql.ltrim (a VARCHAR) AS _gsql_trim(a, NULL, 'l'), (a VARCHAR, c VARCHAR) AS CASE WHEN c IS NOT NULL THEN _gsql_trim(a, c, 'l') END;
CREATE MACRO _gsql.rtrim (a VARCHAR) AS _gsql_trim(a, NULL, 'r'), (a VARCHAR, c VARCHAR) AS CASE WHEN c IS NOT NULL THEN _gsql_trim(a, c, 'r') END;
CREATE MACRO _gsql.replace (a VARCHAR, b VARCHAR, c VARCHAR) AS CASE WHEN b = '' AND c IS NOT NULL THEN a ELSE replace(a, b, c) END;
CREATE MACRO _gsql.reverse (a VARCHAR) AS _gsql_reverse(a);
CREATE MACRO _gsql.repeat (a VARCHAR, n BIGINT) AS CASE WHEN n < 0 THEN _gsql.fail_text('Second argument in REPEAT() cannot be negative') ELSE repeat(a, n) END;
CREATE MACRO _gsql.lpad (a VARCHAR, n BIGINT) AS _gsql_pad(a, n, ' ', 'l'), (a VARCHAR, n BIGINT, p VARCHAR) AS _gsql_pad(a, n, p, 'l');
CREATE MACRO _gsql.rpad (a VARCHAR, n BIGINT) AS _gsql_pad(a, n, ' ', 'r'), (a VARCHAR, n BIGINT, p VARCHAR) AS _gsql_pad(a, n, p, 'r');
CREATE MACRO _gsql.starts_with (a VARCHAR, b VARCHAR) AS starts_with(a, b);
CREATE MACRO _gsql.ends_with (a VARCHAR, b VARCHAR) AS ends_with(a, b);
CREATE MACRO _gsql.strpos (a VARCHAR, b VARCHAR) AS CAST(strpos(a, b) AS BIGINT);
CREATE MACRO _gsql.instr (a VARCHAR, b VARCHAR) AS _gsql_instr(a, b, 1, 1), (a VARCHAR, b VARCHAR, p BIGINT) AS _gsql_instr(a, b, p, 1),
  (a VARCHAR, b VARCHAR, p BIGINT, n BIGINT) AS _gsql_instr(a, b, p, n);
CREATE MACRO _gsql.text_of (a VARCHAR) AS a, (a BIGINT) AS _gsql.to_string(a), (a DOUBLE) AS _gsql.to_string(a), (a BOOLEAN) AS _gsql.to_string(a), (a DECIMAL(38,9)) AS _gsql.to_string(a),
  (a DATE) AS _gsql.to_string(a), (a TIMESTAMP) AS _gsql.to_string(a), (a TIMESTAMPTZ) AS _gsql.to_string(a), (a TIME) AS _gsql.to_string(a), (a BLOB) AS a;
CREATE MACRO _gsql.joined (a VARCHAR, b VARCHAR) AS a || b, (a BLOB, b BLOB) AS a || b, (a, b) AS CASE WHEN a IS NOT NULL AND b IS NOT NULL THEN list_concat(a, b) END;
CREATE MACRO _gsql.ascii (a VARCHAR) AS CASE WHEN a = '' THEN 0 WHEN unicode(a) > 127 THEN _gsql.fail('ASCII of another letter is not supported by the emulator') ELSE CAST(unicode(a) AS BIGINT) END;
CREATE MACRO _gsql.unicode (a VARCHAR) AS CASE WHEN a = '' THEN 0 ELSE CAST(unicode(a) AS BIGINT) END;
CREATE MACRO _gsql.chr (a BIGINT) AS CASE WHEN a = 0 THEN '' ELSE chr(CAST(a AS INTEGER)) END;
CREATE MACRO _gsql.code_points_to_string (a BIGINT[]) AS CASE WHEN list_count(a) = len(a) THEN array_to_string(list_transform(a, lambda gsql_v: chr(CAST(gsql_v AS INTEGER))), '') END;
CREATE MACRO _gsql.to_code_points (a VARCHAR) AS _gsql_code_points(a);
CREATE MACRO _gsql.translate (a VARCHAR, b VARCHAR, c VARCHAR) AS translate(a, b, c);
CREATE MACRO _gsql.normalize (a VARCHAR, f VARCHAR) AS _gsql_normalize(a, f, false);
CREATE MACRO _gsql.normalize_and_casefold (a VARCHAR, f VARCHAR) AS _gsql_normalize(a, f, true);
CREATE MACRO _gsql.contains_substr (a VARCHAR, b VARCHAR) AS contains(_gsql_normalize(a, 'NFKC', true), _gsql_normalize(b, 'NFKC', true));
CREATE MACRO _gsql.edit_distance (a VARCHAR, b VARCHAR) AS _gsql_edit_distance(a, b);
CREATE MACRO _gsql.split (a VARCHAR) AS string_split(a, ','), (a VARCHAR, b VARCHAR) AS CASE WHEN b = '' AND a <> '' THEN _gsql_characters(a) ELSE string_split(a, b) END;
CREATE MACRO _gsql.regexp_contains (a VARCHAR, r VARCHAR) AS regexp_matches(a, r);
CREATE MACRO _gsql.regexp_extract (a VARCHAR, r VARCHAR, g) AS CASE WHEN NOT regexp_matches(a, r) THEN NULL
  WHEN g < 0 AND regexp_extract(a, r, 1) = '' THEN _gsql.fail_text('A group that takes no part in a match is not supported by the emulator') ELSE regexp_extract(a, r, abs(g)) END;
CREATE MACRO _gsql.regexp_extract_all (a VARCHAR, r VARCHAR, g) AS CASE WHEN g < 0 AND list_contains(regexp_extract_all(a, r, 1), '')
  THEN [_gsql.fail_text('A group that takes no part in a match is not supported by the emulator')] ELSE regexp_extract_all(a, r, abs(g)) END;
CREATE MACRO _gsql.regexp_replace (a VARCHAR, r VARCHAR, b VARCHAR) AS regexp_replace(a, r, b, 'g');
CREATE MACRO _gsql.like(a, b) AS a LIKE b ESCAPE '\';
CREATE MACRO _gsql.to_hex (a BLOB) AS lower(hex(a));
CREATE MACRO _gsql.from_hex (a VARCHAR) AS unhex(CASE WHEN length(a) % 2 = 1 THEN concat('0', a) ELSE a END);
CREATE MACRO _gsql.to_base64 (a BLOB) AS to_base64(a);
CREATE MACRO _gsql.from_base64 (a VARCHAR) AS from_base64(a);
CREATE MACRO _gsql.md5 (a VARCHAR) AS unhex(md5(a)), (a BLOB) AS unhex(md5(a));
CREATE MACRO _gsql.sha1 (a VARCHAR) AS unhex(sha1(a)), (a BLOB) AS unhex(sha1(a));
CREATE MACRO _gsql.sha256 (a VARCHAR) AS unhex(sha256(a)), (a BLOB) AS unhex(sha256(a));
CREATE MACRO _gsql.sha512 (a VARCHAR) AS _gsql_sha512(encode(a)), (a BLOB) AS _gsql_sha512(a);
CREATE MACRO _gsql.safe_convert_bytes_to_string (a BLOB) AS _gsql_lossy_decode(a);
CREATE MACRO _gsql.generate_uuid() AS CAST(uuid() AS VARCHAR);
CREATE MACRO _gsql.format(f, types, vals) AS _gsql_format(f, types, vals);
CREATE MACRO _gsql.shown (a VARCHAR) AS CAST(a AS VARCHAR), (a BIGINT) AS _gsql.to_string(a), (a DOUBLE) AS _gsql.to_string(a), (a BOOLEAN) AS _gsql.to_string(a), (a DECIMAL(38,9)) AS _gsql.to_string(a),
  (a DATE) AS _gsql.to_string(a), (a TIMESTAMP) AS _gsql.to_string(a), (a TIMESTAMPTZ) AS _gsql.to_string(a), (a TIME) AS _gsql.to_string(a);
