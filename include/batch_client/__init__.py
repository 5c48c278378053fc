"""The program behind bin/run-batch.sh: submits Batch jobs through Airflow's REST API. Standard library only."""
