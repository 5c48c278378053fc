"""The ingestion job: dog breeds from an HTTP API into BigQuery or DuckDB, through dlt."""
