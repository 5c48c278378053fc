"""BigQuery as one object: what its methods are written with. Everything here blocks, so it runs in threads."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from gcp_emulator.bigquery import errors, load, rights, sql
from gcp_emulator.bigquery.catalog import LOCATION, Catalog
from gcp_emulator.bigquery.copy import copy
from gcp_emulator.bigquery.database import Database
from gcp_emulator.bigquery.executor import Executor
from gcp_emulator.bigquery.extract import extract
from gcp_emulator.bigquery.jobs import Job, Jobs, new_id
from gcp_emulator.bigquery.objects import Objects, parted
from gcp_emulator.bigquery.query import Queries
from gcp_emulator.bigquery.records import JobRecords
from gcp_emulator.bigquery.session import Sessions
from gcp_emulator.bigquery.streamed import Streamed
from gcp_emulator.json_api import Refusal

TABLES = {"load": "destinationTable", "copy": "destinationTable", "extract": "sourceTable"}


class BigQuery:
    """One for all projects; `folder` holds a DuckDB file for each, `objects` is what `gs://` means."""

    def __init__(self, folder: Path, objects: Objects | None = None) -> None:
        self.database = Database(folder)
        sql.functions.install(self.database.root)
        self.sessions = Sessions(self.database)
        self.jobs = Jobs(JobRecords(folder))
        self.streamed = Streamed()
        self.queries = Queries(self.database, self.sessions, self.jobs)
        self._objects = objects

    def close(self) -> None:
        """Cancels what runs and writes everything into the files."""
        self.jobs.close()
        self.sessions.close()
        self.database.close()

    @contextlib.contextmanager
    def catalog(self) -> Iterator[Catalog]:
        """What there is now."""
        cursor = self.database.cursor()
        try:
            yield Catalog(self.database, cursor)
        finally:
            cursor.close()

    @contextlib.contextmanager
    def executor(self, location: str = "") -> Iterator[Executor]:
        """For a change of its own."""
        session = self.sessions.once()
        try:
            yield Executor(self.database, session, location)
        finally:
            self.sessions.leave(session)

    def insert(
        self,
        project: str,
        body: dict[str, Any],
        caller: str,
        files: Sequence[Path] = (),
        request: str = "",
    ) -> Job:
        """Start a job; `files` are a load job's uploaded ones, which are removed when it has ended.

        `request`: the id by which `Jobs.asked` finds it again.
        """
        configuration = dict(body.get("configuration") or {})
        kinds = [kind for kind in ("query", "load", "copy", "extract") if kind in configuration]
        if len(kinds) != 1:
            raise errors.invalid(
                "Required parameter is missing: configuration of one query, load, copy or extract"
            )
        asked = body.get("jobReference") or {}
        configuration = {**configuration, kinds[0]: dict(configuration[kinds[0]])}
        configuration.pop("jobType", None)
        location = asked.get("location") or self._located(project, kinds[0], configuration[kinds[0]])
        job = Job(project, asked.get("jobId") or new_id(), location or LOCATION, caller, configuration)
        if configuration.get("dryRun"):
            return self._dry_run(job)
        job.request = request
        self.jobs.add(job)
        work = {"query": self.queries.run, "copy": self._copy, "extract": self._extract}.get(kinds[0])
        self.jobs.start(job, work or (lambda running: self._load(running, files)))
        return job

    def _dry_run(self, job: Job) -> Job:
        """Not kept; what is wrong is told at once."""
        if job.kind == "query":
            self.queries.dry_run(job)
        job.state = "DONE"
        return job

    def _located(self, project: str, kind: str, config: dict[str, Any]) -> str:
        """Refusal notFound where a job that is no query has no dataset."""
        with self.catalog() as catalog:
            if kind == "query":
                return self.queries.located(catalog, project, config)
            table = config.get(TABLES[kind]) or (config.get("sourceTables") or [{}])[0]
            if not table.get("datasetId"):
                raise errors.invalid(f"Required parameter is missing: {TABLES[kind]}")
            found = catalog.need_dataset(table.get("projectId") or project, table["datasetId"])
            return str(found["location"])

    def _load(self, job: Job, files: Sequence[Path]) -> None:
        config = job.configuration["load"]
        try:
            with contextlib.ExitStack() as held, self.executor(job.location) as executor:
                table = config["destinationTable"]
                around = executor.catalog.need_dataset(
                    table.get("projectId") or job.project, table["datasetId"]
                )
                rights.need(job.caller, "bigquery.tables.updateData", around, table["tableId"])
                paths = list(files) or [
                    held.enter_context(self.objects.held(*name)) for name in self._named(config)
                ]
                job.statistics["load"] = load.load(executor, config, paths, job.project)
        except Refusal as error:
            raise load.explained(error) from error
        finally:
            for path in files:
                path.unlink(missing_ok=True)

    def _named(self, config: dict[str, Any]) -> list[tuple[str, str]]:
        """The objects that the job's URIs mean."""
        names = []
        for uri in config.get("sourceUris") or ():
            parted(uri)
            found = self.objects.match(uri)
            if not found:
                raise errors.not_found("URI", uri)
            names += found
        if not names:
            raise errors.invalid("Load configuration must specify at least one source URI")
        return names

    def _copy(self, job: Job) -> None:
        with self.executor(job.location) as executor:
            config = job.configuration["copy"]
            job.statistics["copy"] = copy(executor, config, job.project, job.caller)

    def _extract(self, job: Job) -> None:
        with self.executor(job.location) as executor:
            config = job.configuration["extract"]
            job.statistics["extract"] = extract(executor, config, job.project, job.caller, self.objects)

    @property
    def objects(self) -> Objects:
        if self._objects is None:
            raise errors.unsupported("gs:// URIs without Cloud Storage")
        return self._objects
