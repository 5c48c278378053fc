"""What Airflow loads: links and a listener. `plugins/gcp_jobs_plugin.py` or the wheel's entry point brings it in."""

from airflow.plugins_manager import AirflowPlugin

from gcp_jobs.links import BatchJobLink, BatchLogLink, ExecutionLink, LogLink, ReportLink
from gcp_jobs.listener import Listener


class GcpJobsPlugin(AirflowPlugin):
    """Links of our operators, known to the web server, and what hears of users' marks."""

    name = "gcp_jobs"
    operator_extra_links = [  # noqa: RUF012 - read off the class
        ExecutionLink(), LogLink(), BatchJobLink(), BatchLogLink(), ReportLink(),
    ]  # fmt: skip
    listeners = [Listener()]  # noqa: RUF012 - read off the class
