"""The datasets of the laptop's project: each identity can there what its role says, and no more."""

from pathlib import Path

import pytest
from google.api_core.exceptions import Forbidden
from google.cloud import bigquery
from google.oauth2.credentials import Credentials

from gcp_emulator import process
from laptop import datasets, environment

MADE = {"dog_breeds_raw_local", "dog_breeds_raw_local_staging", "dog_breeds_local", "dog_breeds_local_checks"}


def test_the_job_writes_airflow_reads_others_neither_and_what_is_there_stays(tmp_path: Path) -> None:
    with process.start(images=tmp_path, env_cache=tmp_path, log=tmp_path / "log") as ready:

        def ask(identity: str, sql: str) -> list[tuple[object, ...]]:
            credentials = Credentials(token=environment.account(identity))
            client = bigquery.Client(
                environment.PROJECT, credentials, client_options={"api_endpoint": ready["rest"]}
            )
            found = [tuple(row) for row in client.query_and_wait(sql)]
            client.close()
            return found

        datasets.keep(ready["rest"])
        schemata = "select schema_name from INFORMATION_SCHEMA.SCHEMATA"
        assert {name for (name,) in ask("deployer", schemata)} == MADE
        ask("job", "create table dog_breeds_local.t as select 1 as id")
        datasets.keep(ready["rest"])
        assert ask("airflow", "select id from dog_breeds_local.t") == [(1,)]
        with pytest.raises(Forbidden):
            ask("airflow", "delete from dog_breeds_local.t where true")
        with pytest.raises(Forbidden):
            ask("stranger", "select id from dog_breeds_local.t")
