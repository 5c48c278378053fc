"""What Airflow loads: the plugin's links. `plugins/gcp_jobs_plugin.py` or the wheel's entry point brings it in."""

from airflow.plugins_manager import AirflowPlugin

from gcp_jobs.links import BatchJobLink, BatchLogLink, ExecutionLink, LogLink, ReportLink


class GcpJobsPlugin(AirflowPlugin):
    """Links of our operators, known to the web server."""

    name = "gcp_jobs"
    operator_extra_links = [  # noqa: RUF012 - read off the class
        ExecutionLink(), LogLink(), BatchJobLink(), BatchLogLink(), ReportLink(),
    ]  # fmt: skip
