"""What Airflow loads: the plugin's links. `plugins/gcp_jobs_plugin.py` or the wheel's entry point brings it in."""

from airflow.plugins_manager import AirflowPlugin

from gcp_jobs.links import BatchJobLink, BatchLogLink, ExecutionLink, LogLink


class GcpJobsPlugin(AirflowPlugin):
    """Links of our operators, known to the web server."""

    name = "gcp_jobs"
    operator_extra_links = [ExecutionLink(), LogLink(), BatchJobLink(), BatchLogLink()]  # noqa: RUF012 - read off the class
