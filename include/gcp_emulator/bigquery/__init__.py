"""BigQuery v2: datasets, tables and jobs in DuckDB files, one a project; GoogleSQL through `bigquery.sql`."""
