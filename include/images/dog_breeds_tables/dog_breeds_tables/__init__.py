"""The job that makes checked, documented tables of the breeds: dbt, its figures, a report."""
