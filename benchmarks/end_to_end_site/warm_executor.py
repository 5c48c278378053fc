"""LocalExecutor whose workers have loaded what every task of a benchmark loads: thousands of tasks in minutes."""

from airflow.executors.local_executor import LocalExecutor


class WarmExecutor(LocalExecutor):
    """Forks its workers after the imports instead of before; otherwise the LocalExecutor."""

    def start(self) -> None:

        import gcp_jobs.backends.batch
        import gcp_jobs.backends.cloud_run
        import gcp_jobs.operators.batch
        import gcp_jobs.operators.cloud_run  # noqa: F401

        super().start()
