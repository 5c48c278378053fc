"""The datasets that the jobs load and make, with the rights that README's "On a real project" grants."""

import json
import os
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from laptop.buckets import WITHIN_S
from laptop.environment import DATASETS, PROJECT, account

# dlt loads into a twin, dbt stores what checks refuse in another
TWINS = {"GCP_JOBS_INGESTION_DATASET": "_staging", "GCP_JOBS_TABLES_DATASET": "_checks"}
# https://cloud.google.com/bigquery/docs/access-control-basic-roles#dataset-basic-roles
RIGHTS = {"deployer": "OWNER", "job": "WRITER", "airflow": "READER", "viewer": "READER"}


def keep(url: str) -> None:
    """Makes them at the emulator's REST address, where the jobs' settings say; one that is there stays as it is."""
    for setting, default in DATASETS.items():
        name = f"{os.environ.get(setting) or default}_local"
        for dataset in (name, name + TWINS[setting]):
            _keep(f"{url}/bigquery/v2/projects/{PROJECT}/datasets", dataset)


def _keep(url: str, dataset: str) -> None:
    wanted = {
        "datasetReference": {"projectId": PROJECT, "datasetId": dataset},
        "location": os.environ.get("GCP_JOBS_BIGQUERY_LOCATION") or "US",
        "access": [{"role": role, "userByEmail": account(name)} for name, role in RIGHTS.items()],
    }
    headers = {"Authorization": f"Bearer {account('deployer')}", "Content-Type": "application/json"}
    try:
        with urlopen(Request(url, json.dumps(wanted).encode(), headers), timeout=WITHIN_S):
            pass
    except HTTPError as error:
        if error.code != 409:
            raise
