"""`python -m dog_breeds_tables`: runs the job once and exits with its code."""

import os
import sys

from dog_breeds_tables.errors import ExitCode
from dog_breeds_tables.job import main

if __name__ == "__main__":
    code = main(os.environ)
    if code in (ExitCode.STOPPED, ExitCode.WAREHOUSE):
        os._exit(code)  # dbt's threads are still at work
    sys.exit(code)
