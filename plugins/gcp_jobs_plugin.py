"""Brings in the plugin; Airflow executes every file of this folder that .airflowignore does not name."""

from gcp_jobs.plugin import GcpJobsPlugin

__all__ = ["GcpJobsPlugin"]
