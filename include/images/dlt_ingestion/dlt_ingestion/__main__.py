"""`python -m dlt_ingestion`: runs the job once and exits with its code."""

import os
import sys

from dlt_ingestion.errors import ExitCode
from dlt_ingestion.job import main

if __name__ == "__main__":
    os.environ.setdefault(
        "RUNTIME__DLTHUB_TELEMETRY", "false"
    )  # dlt would report to its makers over the network
    os.environ.setdefault(
        "PROVIDERS__ENABLE_AIRFLOW_SECRETS", "false"
    )  # and import Airflow where it finds it
    code = main(os.environ)
    if code == ExitCode.STOPPED:
        os._exit(code)  # threads are still at work, in C++ partly; what they had open is as after a SIGKILL
    sys.exit(code)
