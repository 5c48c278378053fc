"""Query jobs: one statement or a script, in a session or for itself, into a table or as an answer."""

import re
from collections.abc import Mapping
from typing import Any

from gcp_emulator.bigquery import errors, rights, sql
from gcp_emulator.bigquery.catalog import Catalog, Resource
from gcp_emulator.bigquery.database import Database
from gcp_emulator.bigquery.destinations import Destination
from gcp_emulator.bigquery.executor import Executor, Outcome
from gcp_emulator.bigquery.jobs import Job, Jobs, Result, new_id, stopped
from gcp_emulator.bigquery.session import Session, Sessions
from gcp_emulator.bigquery.types import described, quoted

NAMED = re.compile(r"`?([A-Za-z][\w-]*(?::[\w-]+)?)`?\.`?(\w+)`?")
RESULT = "temp.main.__result"
LEGACY_TABLE = re.compile(r"\[([\w:-]+):(\w+)\.([\w$]+)\]|\[(\w+)\.([\w$]+)\]")
# Permission on the target by the first word of a statement's kind
TARGETS = {
    "CREATE": "bigquery.tables.create",
    "DROP": "bigquery.tables.delete",
    "ALTER": "bigquery.tables.update",
}


class Queries:
    """Runs query jobs."""

    def __init__(self, database: Database, sessions: Sessions, jobs: Jobs) -> None:
        self._database = database
        self._sessions = sessions
        self._jobs = jobs

    def located(self, catalog: Catalog, project: str, config: Mapping[str, Any]) -> str:
        """Where the datasets are that the query names, "" if it names none that exists."""
        names = []
        for first, second in NAMED.findall(str(config.get("query"))):
            names += [(first, second), (project, first)]
        for key in ("destinationTable", "defaultDataset"):
            if told := config.get(key):
                names.append((told.get("projectId") or project, told["datasetId"]))
        for name in names:
            if found := catalog.dataset(*name):
                return str(found["location"])
        return ""

    def run(self, job: Job) -> None:
        """The whole job; Refusal for what is wrong with it."""
        session = self._session(job)
        job.session = session
        try:
            with session.busy:
                self._run(job, session)
        finally:
            self._sessions.leave(session)
            job.session = None

    def _session(self, job: Job) -> Session:
        config = job.configuration["query"]
        asked = {each["key"]: each.get("value", "") for each in config.get("connectionProperties", ())}
        if config.get("createSession"):
            session = self._sessions.create()
        elif asked.get("session_id"):
            session = self._sessions.find(asked["session_id"])
        else:
            return self._sessions.once()
        job.statistics["sessionInfo"] = {"sessionId": session.id}
        return session

    def _run(self, job: Job, session: Session) -> None:
        config = job.configuration["query"]
        job.statistics["query"] = statistics = {"totalBytesProcessed": "0", "totalBytesBilled": "0"}
        job.statistics["totalBytesProcessed"] = "0"
        executor = Executor(self._database, session, job.location, self._listed)
        statements = sql.parse(text(config))
        names = self._names(job, session, executor.catalog)
        if sql.is_script(statements):
            statistics["statementType"] = "SCRIPT"
            script = _Script(self._jobs, job, executor)
            sql.run_script(statements, names, script.run)
            return
        translation = sql.translate(statements[0], names)
        allow(job.caller, translation, executor.catalog)
        if translation.query is not None and config.get("destinationTable"):
            outcome = into_table(job, executor, translation)
        else:
            outcome = executor.run(translation)
            keep(job, outcome)
        statistics |= told(outcome, executor.catalog)

    def _names(self, job: Job, session: Session, catalog: Catalog) -> sql.Names:
        config = job.configuration["query"]
        default = config.get("defaultDataset") or {}
        return sql.Names(
            catalog=catalog,
            project=job.project,
            default_dataset=(default.get("projectId") or job.project, default["datasetId"])
            if default
            else None,
            parameters=config.get("queryParameters") or [],
            session=session,
        )

    def _listed(self, project: str) -> list[Resource]:
        """For INFORMATION_SCHEMA.JOBS."""
        return [each.resource() for each in self._jobs.of(project)]

    def dry_run(self, job: Job) -> None:
        """What the job would do, as far as that can be told without doing it."""
        config = job.configuration["query"]
        session = self._sessions.once()
        try:
            catalog = Catalog(self._database, session.cursor, job.location, self._listed)
            statements = sql.parse(text(config))
            statistics: dict[str, Any] = {"totalBytesProcessed": "0", "statementType": "SCRIPT"}
            if not sql.is_script(statements):
                translation = sql.translate(statements[0], self._names(job, session, catalog))
                allow(job.caller, translation, catalog)
                outcome = Outcome(
                    translation.kind,
                    target=translation.target,
                    ddl=translation.ddl,
                    references=tuple(translation.references),
                )
                if translation.query is not None:
                    executor = Executor(self._database, session, job.location)
                    executor.step(f"SELECT * FROM ({translation.query}) LIMIT 0")
                    outcome.fields = described(session.cursor.description)
                statistics |= told(outcome, catalog)
            job.statistics |= {"query": statistics, "totalBytesProcessed": "0"}
        finally:
            self._sessions.leave(session)


class _Script:
    """What a script's statements did: a child job each; the last rows are the script's own."""

    def __init__(self, jobs: Jobs, job: Job, executor: Executor) -> None:
        self._jobs = jobs
        self._job = job
        self._executor = executor

    def run(self, translation: sql.Translation) -> Outcome:
        job = self._job
        if job.cancelled:
            raise stopped()
        allow(job.caller, translation, self._executor.catalog)
        child = Job(job.project, new_id("script_job"), job.location, job.caller, {"query": {}}, parent=job.id)
        child.configuration["query"] = {"query": getattr(translation, "text", ""), "useLegacySql": False}
        job.children += 1
        self._jobs.add(child)
        outcomes: list[Outcome] = []

        def work(running: Job) -> None:
            outcome = self._executor.run(translation)
            outcomes.append(outcome)
            keep(running, outcome)
            running.statistics["query"] = told(outcome, self._executor.catalog)

        self._jobs.run(child, work)
        if child.error:
            raise child.error
        job.result = child.result
        return outcomes[0]


def text(config: Mapping[str, Any]) -> str:
    """The query as GoogleSQL; of legacy SQL, the default, only what means the same once its tables are spelled anew."""
    query = str(config.get("query") or "")
    if not query.strip():
        raise errors.invalid("Required parameter is missing: query", "query")
    if config.get("useLegacySql") is False or query.lstrip().lower().startswith("#standardsql"):
        return query
    if re.search(r"\],\s*\[", query):
        raise errors.unsupported("legacy SQL's comma between tables, which is a UNION ALL")

    def name(found: re.Match[str]) -> str:
        return "`" + ".".join(part for part in found.groups() if part) + "`"

    return LEGACY_TABLE.sub(name, query)


def allow(caller: str, translation: sql.Translation, catalog: Catalog) -> None:
    """Refusal accessDenied where the caller may not read what the statement reads, or change its target."""
    for project, dataset, table in translation.references:
        if found := catalog.dataset(project, dataset):
            rights.need(caller, "bigquery.tables.getData", found, table)
    if translation.target is None or translation.temporary:
        return
    project, dataset, table = translation.target
    permission = TARGETS.get(translation.kind.partition("_")[0], "bigquery.tables.updateData")
    if found := catalog.dataset(project, dataset):
        rights.need(caller, permission, found, table)


def into_table(job: Job, executor: Executor, translation: sql.Translation) -> Outcome:
    """A query's rows become a table's, by the job's dispositions."""
    config = job.configuration["query"]
    destination = Destination.of(config, config["destinationTable"], job.project, "WRITE_EMPTY")
    around = executor.catalog.need_dataset(*destination.name[:2])
    rights.need(job.caller, "bigquery.tables.updateData", around, destination.name[2])

    def write() -> int:
        with executor.transaction():
            executor.step(f"CREATE OR REPLACE TEMPORARY TABLE {RESULT} AS {translation.query}")
            executor.step(f"SELECT * FROM {RESULT} LIMIT 0")
            fields = described(executor.cursor.description)
            destination.open(executor, fields, exact=False)
            columns = ", ".join(quoted(field["name"]) for field in fields)
            executor.step(f"INSERT INTO {quoted(*destination.name)} ({columns}) FROM {RESULT}")
            executor.touch(destination.name)
            executor.step(f"DROP TABLE {RESULT}")
            return 0

    with executor.writing(destination.name[0]):
        executor.retried(write)
    fields = executor.catalog.need_table(*destination.name)["schema"]["fields"]
    job.result = Result(fields=fields, table=destination.name)
    return Outcome(translation.kind, fields=fields, references=tuple(translation.references))


def keep(job: Job, outcome: Outcome) -> None:
    """The job's result; and, as on Google, the table that the rows are in, or that the statement wrote."""
    query = job.configuration["query"]
    if outcome.fields is not None:
        job.result = Result(outcome.fields, outcome.rows)
        query["destinationTable"] = job.anonymous
    elif outcome.target and outcome.target[2] and not outcome.kind.startswith("DROP"):
        project, dataset, table = outcome.target
        query["destinationTable"] = {"projectId": project, "datasetId": dataset, "tableId": table}


def told(outcome: Outcome, catalog: Catalog) -> dict[str, Any]:
    """https://cloud.google.com/bigquery/docs/reference/rest/v2/Job#JobStatistics2."""
    statistics: dict[str, Any] = {
        "statementType": outcome.kind,
        "totalBytesProcessed": "0",
        "totalBytesBilled": "0",
        "totalPartitionsProcessed": "0",
        "cacheHit": False,
    }
    if outcome.references:
        statistics["referencedTables"] = [reference(*name) for name in outcome.references]
    if outcome.fields is not None:
        statistics["schema"] = {"fields": outcome.fields}
    if outcome.affected is not None:
        statistics["numDmlAffectedRows"] = str(outcome.affected)
        statistics["dmlStats"] = {f"{verb}RowCount": str(count) for verb, count in outcome.changed.items()}
    if outcome.ddl and outcome.target:
        statistics["ddlOperationPerformed"] = outcome.ddl
        if outcome.target[2]:
            statistics["ddlTargetTable"] = reference(*outcome.target)
        else:
            project, dataset, _ = outcome.target
            statistics["ddlTargetDataset"] = {"projectId": project, "datasetId": dataset}
    return statistics


def reference(project: str, dataset: str, table: str) -> dict[str, str]:
    return {"projectId": project, "datasetId": dataset, "tableId": table}
