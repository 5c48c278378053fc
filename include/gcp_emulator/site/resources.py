"""The pages of one execution and of one Batch job: state, tasks, events, and the end of the log."""

from typing import Any

from gcp_emulator.batch.names import group_of, task_uid
from gcp_emulator.messages import BatchTask, Task
from gcp_emulator.run import conditions
from gcp_emulator.run.names import short
from gcp_emulator.site.log_lines import LogLines
from gcp_emulator.site.markup import Html, document, facts, link, logs_path, note, section, table
from gcp_emulator.site.states import (
    batch_counts,
    batch_state,
    batch_task_exits,
    batch_task_state,
    execution_counts,
    execution_state,
    moment,
    run_task_exit,
    run_task_state,
)
from gcp_emulator.site.world import World

SHOWN = 500  # tasks


def execution_page(world: World, name: str) -> str:
    """The page as HTML; NotFound without such an execution."""
    execution = world.run.find(name)
    template = execution.template
    return document(
        f"Execution {short(name)}",
        facts(
            [
                ("Name", name),
                ("State", execution_state(execution)),
                ("Says", conditions.completed(execution).message),
                ("Tasks", execution_counts(execution)),
                ("Images", ", ".join(container.image for container in template.containers)),
                ("Service account", template.service_account),
                ("Creator", execution.creator),
                ("Created", moment(execution.create_time)),
                ("Started", moment(execution.start_time)),
                ("Completed", moment(execution.completion_time)),
                ("Uid", execution.uid),
            ]
        ),
        section("Tasks", *_run_tasks(world, execution)),
        section("Log", LogLines.of(world, name).table()),
    )


def _run_tasks(world: World, execution: Any) -> tuple[Html, ...]:
    rows = [
        (
            task.index,
            run_task_state(task),
            run_task_exit(task),
            task.retried,
            moment(task.start_time),
            moment(task.completion_time),
            conditions.completed(task).message,
            link(logs_path(task.name), "logs"),
        )
        for _, task in world.store.page(Task, execution.name, limit=SHOWN, oldest_first=True)
    ]
    heads = ("Task", "State", "Exit code", "Retries", "Started", "Completed", "Says", "")
    return table(heads, rows), *_left_out(execution.task_count, len(rows))


def batch_page(world: World, name: str) -> str:
    """The page as HTML; NotFound without such a job."""
    job = world.batch.find(name)
    events = sorted(job.status.status_events, key=lambda event: event.event_time.ToNanoseconds())
    return document(
        f"Batch job {short(name)}",
        facts(
            [
                ("Name", name),
                ("State", batch_state(job)),
                ("Tasks", batch_counts(job)),
                ("Ran for", f"{job.status.run_duration.ToTimedelta().total_seconds():g} s"),
                ("Service account", job.allocation_policy.service_account.email),
                ("Created", moment(job.create_time)),
                ("Updated", moment(job.update_time)),
                ("Uid", job.uid),
            ]
        ),
        section("Tasks", *_batch_tasks(world, job)),
        section(
            "Events",
            table(
                ("Time", "Type", "What happened"),
                [(moment(event.event_time), event.type_, event.description) for event in events],
            ),
        ),
        section("Log", LogLines.of(world, name).table()),
    )


def _batch_tasks(world: World, job: Any) -> tuple[Html, ...]:
    rows = [
        (
            task_uid(job.uid, int(short(task.name))),
            batch_task_state(task),
            batch_task_exits(task),
            link(logs_path(task.name), "logs"),
        )
        for _, task in world.store.page(BatchTask, group_of(job.name), limit=SHOWN, oldest_first=True)
    ]
    heads = ("Task", "State", "Exit codes", "")
    return table(heads, rows), *_left_out(job.task_groups[0].task_count, len(rows))


def _left_out(total: int, shown: int) -> tuple[Html, ...]:
    """A word on the tasks that are not in the table, if it is full."""
    return (note(f"and {total - shown} more"),) if shown == SHOWN and total > shown else ()
