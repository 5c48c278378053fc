"""Which function answers which method, by its name in Google's discovery file."""

from collections.abc import Callable, Mapping
from typing import Any

from gcp_emulator.bigquery.methods import datasets, jobs, rows, streaming, tables
from gcp_emulator.bigquery.methods.call import Call
from gcp_emulator.bigquery.service import BigQuery

Method = Callable[[BigQuery, Call], Any]
METHODS: Mapping[str, Method] = {
    "bigquery.projects.list": datasets.projects,
    "bigquery.projects.getServiceAccount": datasets.service_account,
    "bigquery.datasets.list": datasets.list_,
    "bigquery.datasets.insert": datasets.insert,
    "bigquery.datasets.get": datasets.get,
    "bigquery.datasets.patch": datasets.patch,
    "bigquery.datasets.update": datasets.update,
    "bigquery.datasets.delete": datasets.delete,
    "bigquery.tables.list": tables.list_,
    "bigquery.tables.insert": tables.insert,
    "bigquery.tables.get": tables.get,
    "bigquery.tables.patch": tables.patch,
    "bigquery.tables.update": tables.update,
    "bigquery.tables.delete": tables.delete,
    "bigquery.tables.getIamPolicy": datasets.policy,
    "bigquery.tables.testIamPermissions": datasets.permissions,
    "bigquery.routines.list": datasets.routines,
    "bigquery.models.list": datasets.models,
    "bigquery.rowAccessPolicies.list": datasets.row_access_policies,
    "bigquery.tabledata.list": rows.list_,
    "bigquery.tabledata.insertAll": streaming.insert_all,
    "bigquery.jobs.list": jobs.list_,
    "bigquery.jobs.get": jobs.get,
    "bigquery.jobs.cancel": jobs.cancel,
    "bigquery.jobs.delete": jobs.delete,
    "bigquery.jobs.insert": jobs.insert,
    "bigquery.jobs.query": jobs.query,
    "bigquery.jobs.getQueryResults": jobs.results,
}
