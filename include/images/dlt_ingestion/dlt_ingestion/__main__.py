"""`python -m dlt_ingestion`: runs the job once and exits with its code."""

import os
import sys

from dlt_ingestion.job import main

if __name__ == "__main__":
    os.environ.setdefault(
        "RUNTIME__DLTHUB_TELEMETRY", "false"
    )  # dlt would report to its makers over the network
    os.environ.setdefault(
        "PROVIDERS__ENABLE_AIRFLOW_SECRETS", "false"
    )  # and import Airflow where it finds it
    sys.exit(main(os.environ))
