"""Filters of Cloud Logging for what jobs' containers wrote.

https://cloud.google.com/logging/docs/view/logging-query-language; a filter has at most 20,000 characters.
"""

from collections.abc import Iterable, Mapping

from gcp_jobs.logs.entry import BATCH_JOB, BATCH_LOG, EXECUTION, rfc3339
from gcp_jobs.model import JobRef

LONGEST = 19_000  # leaves room for what stands around the names of the runs
AGES_S = (60, 600, 3_600, 86_400)


def of_run(ref: JobRef, since: int = 0) -> str:
    """One run's entries, from a time (epoch nanoseconds) on."""
    wanted = of_runs(ref.project, ref.on_batch, {name_of(ref): since})
    if ref.on_batch:
        return wanted
    place = f'resource.labels.job_name="{ref.job}" AND resource.labels.location="{ref.region}"'
    return f"{place} AND {wanted}"


def of_runs(project: str, on_batch: bool, since: Mapping[str, int], now: int = 0) -> str:
    """Entries of many runs, all of one backend, each from about its own time on.

    Runs whose times have a like distance from `now` share the earliest of these: entries before a run's own time may
    come too. So a run that was silent for a day does not make the log of all others be read for a day.

    :param since: by a Batch job's uid or an execution's name, epoch nanoseconds, 0 for all
    """
    groups: dict[int, list[str]] = {}
    for name, start in since.items():
        groups.setdefault(_age(start, now), []).append(name)
    label = f"labels.{BATCH_JOB}" if on_batch else f'labels."{EXECUTION}"'
    wanted = [_group(label, names, min(since[name] for name in names)) for names in groups.values()]
    from_all = batch_log(project) if on_batch else CLOUD_RUN
    return f"{from_all} AND {wanted[0] if len(wanted) == 1 else '(' + ' OR '.join(wanted) + ')'}"


def of_project(project: str) -> str:
    """The entries of all jobs of a project: what a tail asks for, and a log sink should."""
    return f"({batch_log(project)}) OR ({CLOUD_RUN})"


def fitting(names: Iterable[str], room: int = LONGEST) -> list[str]:
    """As many of the names as one filter takes."""
    fit: list[str] = []
    for name in names:
        room -= len(name) + len('"" OR ')
        if room < 0:
            break
        fit.append(name)
    return fit


def batch_log(project: str) -> str:
    """What the runnables of a project's Batch jobs print."""
    return f'logName="projects/{project}/logs/{BATCH_LOG}"'


CLOUD_RUN = 'resource.type="cloud_run_job" AND NOT logName:"cloudaudit.googleapis.com"'


def name_of(ref: JobRef) -> str:
    """Give the name of a run in filters."""
    return ref.uid if ref.on_batch else ref.run


def _age(start: int, now: int) -> int:
    if not start:
        return -1
    return sum(now - start > age * 10**9 for age in AGES_S)


def _group(label: str, names: list[str], start: int) -> str:
    quoted = " OR ".join(f'"{name}"' for name in names)
    runs = f"{label}={quoted}" if len(names) == 1 else f"{label}=({quoted})"
    return f'({runs} AND timestamp>="{rfc3339(start)}")' if start else runs
