"""Google's protobuf classes by their full names, out of the installed client libraries."""

from functools import cache
from typing import Any

import google.cloud.batch_v1.types
import google.cloud.logging_v2.types
import google.cloud.monitoring_v3.types
import google.cloud.run_v2.types
import google.cloud.secretmanager_v1.types
import google.pubsub_v1.types  # noqa: F401  (each import registers its messages in the pool)
from google.cloud.audit import audit_log_pb2
from google.iam.v1 import iam_policy_pb2  # noqa: F401
from google.longrunning import operations_pb2
from google.protobuf import descriptor_pool, duration_pb2, message_factory, timestamp_pb2
from google.rpc import status_pb2

BATCH = "google.cloud.batch.v1"
RUN = "google.cloud.run.v2"
SECRETS = "google.cloud.secretmanager.v1"
LOGGING = "google.logging.v2"
MONITORING = "google.monitoring.v3"
IAM = "google.iam.v1"

AuditLog = audit_log_pb2.AuditLog
Operation = operations_pb2.Operation
Status = status_pb2.Status
Timestamp = timestamp_pb2.Timestamp
Duration = duration_pb2.Duration


@cache
def message_class(full_name: str) -> Any:
    """The protobuf class of this full name; KeyError when no installed library knows it."""
    return message_factory.GetMessageClass(descriptor_pool.Default().FindMessageTypeByName(full_name))


def now() -> Timestamp:
    """The time now, UTC, with microseconds."""
    moment = Timestamp()
    moment.GetCurrentTime()
    return moment


def seconds_between(start: Timestamp, end: Timestamp) -> float:
    return float((end.seconds - start.seconds) + (end.nanos - start.nanos) / 1e9)


BatchJob = message_class(f"{BATCH}.Job")
BatchTask = message_class(f"{BATCH}.Task")
OperationMetadata = message_class(f"{BATCH}.OperationMetadata")
Job = message_class(f"{RUN}.Job")
Execution = message_class(f"{RUN}.Execution")
Task = message_class(f"{RUN}.Task")
Condition = message_class(f"{RUN}.Condition")
Secret = message_class(f"{SECRETS}.Secret")
SecretVersion = message_class(f"{SECRETS}.SecretVersion")
LogEntry = message_class(f"{LOGGING}.LogEntry")
LogSink = message_class(f"{LOGGING}.LogSink")
