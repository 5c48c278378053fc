"""Reserved exit codes of tasks, and Batch's words for them.

https://cloud.google.com/batch/docs/troubleshooting#reserved-exit-codes
"""

from typing import Any

UNKNOWN = 50000  # a failure that is neither a runnable's nor one of those below
PREEMPTED = 50001
VM_LOST = 50002
VM_REBOOTED = 50003
UNRESPONSIVE = 50004
MAX_RUN_TIME = 50005
VM_RECREATED = 50006

REASONS = {
    PREEMPTED: "Spot VM preemption",
    VM_LOST: "Batch no longer receives VM updates",
    VM_REBOOTED: "VM is rebooted during task execution",
    UNRESPONSIVE: "tasks cannot be canceled",
    MAX_RUN_TIME: "task runs over the maximum runtime",
    VM_RECREATED: "VM is recreated during task execution",
}
OF_MACHINES = frozenset({PREEMPTED, VM_LOST, VM_REBOOTED, UNRESPONSIVE, VM_RECREATED})

RETRY_TASK, FAIL_TASK = 1, 2  # LifecyclePolicy.Action


def tries_again(task_spec: Any, attempt: int, code: int) -> bool:
    """Whether a task whose attempt (from 0) ended with this code is run again.

    A policy decides by exit code, in the way that its action says; without one any failure is tried again.
    """
    if code == 0 or attempt >= task_spec.max_retry_count:
        return False
    for policy in task_spec.lifecycle_policies:
        listed = code in policy.action_condition.exit_codes
        return listed if policy.action == RETRY_TASK else not listed
    return True
