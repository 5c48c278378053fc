"""The methods that Google's services have: request, response and REST rules, frozen from the client libraries.

A test compares this table with what the installed libraries say. One part stands in no library and comes from
Google's REST reference: the rules of Logging (its library speaks gRPC or writes the paths by hand). Operations have
the rules of Cloud Run (v2) and of Batch (v1).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from gcp_emulator.messages import message_class


@dataclass(frozen=True, slots=True)
class HttpRule:
    """One REST form of a method: verb, path template, and the field that the body fills (`*`: all, empty: none)."""

    verb: str
    path: str
    body: str = ""


@dataclass(frozen=True)
class Method:
    """One method; `request` and `response` are full names of protobuf messages."""

    service: str
    name: str
    request: str
    response: str
    stream: bool = False
    http: tuple[HttpRule, ...] = ()

    @property
    def full_name(self) -> str:
        return f"{self.service}/{self.name}"

    @cached_property
    def request_class(self) -> type:
        cls: type = message_class(self.request)
        return cls

    @cached_property
    def response_class(self) -> type:
        cls: type = message_class(self.response)
        return cls


# [service], then `method request response`, then its REST rules `verb path body`.
TABLE = """
[google.cloud.batch.v1.BatchService]
CancelJob CancelJobRequest google.longrunning.Operation
    POST /v1/{name=projects/*/locations/*/jobs/*}:cancel *
CreateJob CreateJobRequest Job
    POST /v1/{parent=projects/*/locations/*}/jobs job
DeleteJob DeleteJobRequest google.longrunning.Operation
    DELETE /v1/{name=projects/*/locations/*/jobs/*}
GetJob GetJobRequest Job
    GET /v1/{name=projects/*/locations/*/jobs/*}
GetTask GetTaskRequest Task
    GET /v1/{name=projects/*/locations/*/jobs/*/taskGroups/*/tasks/*}
ListJobs ListJobsRequest ListJobsResponse
    GET /v1/{parent=projects/*/locations/*}/jobs
ListTasks ListTasksRequest ListTasksResponse
    GET /v1/{parent=projects/*/locations/*/jobs/*/taskGroups/*}/tasks

[google.cloud.run.v2.Jobs]
CreateJob CreateJobRequest google.longrunning.Operation
    POST /v2/{parent=projects/*/locations/*}/jobs job
DeleteJob DeleteJobRequest google.longrunning.Operation
    DELETE /v2/{name=projects/*/locations/*/jobs/*}
GetJob GetJobRequest Job
    GET /v2/{name=projects/*/locations/*/jobs/*}
ListJobs ListJobsRequest ListJobsResponse
    GET /v2/{parent=projects/*/locations/*}/jobs
RunJob RunJobRequest google.longrunning.Operation
    POST /v2/{name=projects/*/locations/*/jobs/*}:run *
UpdateJob UpdateJobRequest google.longrunning.Operation
    PATCH /v2/{job.name=projects/*/locations/*/jobs/*} job

[google.cloud.run.v2.Executions]
CancelExecution CancelExecutionRequest google.longrunning.Operation
    POST /v2/{name=projects/*/locations/*/jobs/*/executions/*}:cancel *
DeleteExecution DeleteExecutionRequest google.longrunning.Operation
    DELETE /v2/{name=projects/*/locations/*/jobs/*/executions/*}
GetExecution GetExecutionRequest Execution
    GET /v2/{name=projects/*/locations/*/jobs/*/executions/*}
ListExecutions ListExecutionsRequest ListExecutionsResponse
    GET /v2/{parent=projects/*/locations/*/jobs/*}/executions

[google.cloud.run.v2.Tasks]
GetTask GetTaskRequest Task
    GET /v2/{name=projects/*/locations/*/jobs/*/executions/*/tasks/*}
ListTasks ListTasksRequest ListTasksResponse
    GET /v2/{parent=projects/*/locations/*/jobs/*/executions/*}/tasks

[google.cloud.secretmanager.v1.SecretManagerService]
AccessSecretVersion AccessSecretVersionRequest AccessSecretVersionResponse
    GET /v1/{name=projects/*/secrets/*/versions/*}:access
    GET /v1/{name=projects/*/locations/*/secrets/*/versions/*}:access
AddSecretVersion AddSecretVersionRequest SecretVersion
    POST /v1/{parent=projects/*/secrets/*}:addVersion *
    POST /v1/{parent=projects/*/locations/*/secrets/*}:addVersion *
CreateSecret CreateSecretRequest Secret
    POST /v1/{parent=projects/*}/secrets secret
    POST /v1/{parent=projects/*/locations/*}/secrets secret
DeleteSecret DeleteSecretRequest google.protobuf.Empty
    DELETE /v1/{name=projects/*/secrets/*}
    DELETE /v1/{name=projects/*/locations/*/secrets/*}
DestroySecretVersion DestroySecretVersionRequest SecretVersion
    POST /v1/{name=projects/*/secrets/*/versions/*}:destroy *
    POST /v1/{name=projects/*/locations/*/secrets/*/versions/*}:destroy *
DisableSecretVersion DisableSecretVersionRequest SecretVersion
    POST /v1/{name=projects/*/secrets/*/versions/*}:disable *
    POST /v1/{name=projects/*/locations/*/secrets/*/versions/*}:disable *
EnableManagedRotation EnableManagedRotationRequest SecretVersion
    POST /v1/{parent=projects/*/secrets/*}:enableManagedRotation *
    POST /v1/{parent=projects/*/locations/*/secrets/*}:enableManagedRotation *
EnableSecretVersion EnableSecretVersionRequest SecretVersion
    POST /v1/{name=projects/*/secrets/*/versions/*}:enable *
    POST /v1/{name=projects/*/locations/*/secrets/*/versions/*}:enable *
GetSecret GetSecretRequest Secret
    GET /v1/{name=projects/*/secrets/*}
    GET /v1/{name=projects/*/locations/*/secrets/*}
GetSecretVersion GetSecretVersionRequest SecretVersion
    GET /v1/{name=projects/*/secrets/*/versions/*}
    GET /v1/{name=projects/*/locations/*/secrets/*/versions/*}
ListSecretVersions ListSecretVersionsRequest ListSecretVersionsResponse
    GET /v1/{parent=projects/*/secrets/*}/versions
    GET /v1/{parent=projects/*/locations/*/secrets/*}/versions
ListSecrets ListSecretsRequest ListSecretsResponse
    GET /v1/{parent=projects/*}/secrets
    GET /v1/{parent=projects/*/locations/*}/secrets
RotateSecret RotateSecretRequest SecretVersion
    POST /v1/{parent=projects/*/secrets/*}:rotateSecret *
    POST /v1/{parent=projects/*/locations/*/secrets/*}:rotateSecret *
UpdateSecret UpdateSecretRequest Secret
    PATCH /v1/{secret.name=projects/*/secrets/*} secret
    PATCH /v1/{secret.name=projects/*/locations/*/secrets/*} secret

[google.logging.v2.ConfigServiceV2]
CreateSink CreateSinkRequest LogSink
    POST /v2/{parent=projects/*}/sinks sink
DeleteSink DeleteSinkRequest google.protobuf.Empty
    DELETE /v2/{sink_name=projects/*/sinks/*}
GetSink GetSinkRequest LogSink
    GET /v2/{sink_name=projects/*/sinks/*}
ListSinks ListSinksRequest ListSinksResponse
    GET /v2/{parent=projects/*}/sinks
UpdateSink UpdateSinkRequest LogSink
    PUT /v2/{sink_name=projects/*/sinks/*} sink
    PATCH /v2/{sink_name=projects/*/sinks/*} sink

[google.logging.v2.LoggingServiceV2]
DeleteLog DeleteLogRequest google.protobuf.Empty
    DELETE /v2/{log_name=projects/*/logs/*}
ListLogEntries ListLogEntriesRequest ListLogEntriesResponse
    POST /v2/entries:list *
ListLogs ListLogsRequest ListLogsResponse
    GET /v2/{parent=projects/*}/logs
ListMonitoredResourceDescriptors ListMonitoredResourceDescriptorsRequest ListMonitoredResourceDescriptorsResponse
    GET /v2/monitoredResourceDescriptors
TailLogEntries TailLogEntriesRequest TailLogEntriesResponse stream
WriteLogEntries WriteLogEntriesRequest WriteLogEntriesResponse
    POST /v2/entries:write *

[google.monitoring.v3.MetricService]
ListTimeSeries ListTimeSeriesRequest ListTimeSeriesResponse

[google.iam.v1.IAMPolicy]
GetIamPolicy GetIamPolicyRequest Policy
    GET /v1/{resource=projects/*/topics/*}:getIamPolicy
    GET /v1/{resource=projects/*/subscriptions/*}:getIamPolicy
    GET /v1/{resource=projects/*/snapshots/*}:getIamPolicy
    GET /v1/{resource=projects/*/schemas/*}:getIamPolicy
SetIamPolicy SetIamPolicyRequest Policy
    POST /v1/{resource=projects/*/topics/*}:setIamPolicy *
    POST /v1/{resource=projects/*/subscriptions/*}:setIamPolicy *
    POST /v1/{resource=projects/*/snapshots/*}:setIamPolicy *
    POST /v1/{resource=projects/*/schemas/*}:setIamPolicy *
TestIamPermissions TestIamPermissionsRequest TestIamPermissionsResponse
    POST /v1/{resource=projects/*/subscriptions/*}:testIamPermissions *
    POST /v1/{resource=projects/*/topics/*}:testIamPermissions *
    POST /v1/{resource=projects/*/snapshots/*}:testIamPermissions *
    POST /v1/{resource=projects/*/schemas/*}:testIamPermissions *

[google.pubsub.v1.Publisher]
CreateTopic Topic Topic
    PUT /v1/{name=projects/*/topics/*} *
DeleteTopic DeleteTopicRequest google.protobuf.Empty
    DELETE /v1/{topic=projects/*/topics/*}
DetachSubscription DetachSubscriptionRequest DetachSubscriptionResponse
    POST /v1/{subscription=projects/*/subscriptions/*}:detach
GetTopic GetTopicRequest Topic
    GET /v1/{topic=projects/*/topics/*}
ListTopicSnapshots ListTopicSnapshotsRequest ListTopicSnapshotsResponse
    GET /v1/{topic=projects/*/topics/*}/snapshots
ListTopicSubscriptions ListTopicSubscriptionsRequest ListTopicSubscriptionsResponse
    GET /v1/{topic=projects/*/topics/*}/subscriptions
ListTopics ListTopicsRequest ListTopicsResponse
    GET /v1/{project=projects/*}/topics
Publish PublishRequest PublishResponse
    POST /v1/{topic=projects/*/topics/*}:publish *
UpdateTopic UpdateTopicRequest Topic
    PATCH /v1/{topic.name=projects/*/topics/*} *

[google.pubsub.v1.SchemaService]
CommitSchema CommitSchemaRequest Schema
    POST /v1/{name=projects/*/schemas/*}:commit *
CreateSchema CreateSchemaRequest Schema
    POST /v1/{parent=projects/*}/schemas schema
DeleteSchema DeleteSchemaRequest google.protobuf.Empty
    DELETE /v1/{name=projects/*/schemas/*}
DeleteSchemaRevision DeleteSchemaRevisionRequest Schema
    DELETE /v1/{name=projects/*/schemas/*}:deleteRevision
GetSchema GetSchemaRequest Schema
    GET /v1/{name=projects/*/schemas/*}
ListSchemaRevisions ListSchemaRevisionsRequest ListSchemaRevisionsResponse
    GET /v1/{name=projects/*/schemas/*}:listRevisions
ListSchemas ListSchemasRequest ListSchemasResponse
    GET /v1/{parent=projects/*}/schemas
RollbackSchema RollbackSchemaRequest Schema
    POST /v1/{name=projects/*/schemas/*}:rollback *
ValidateMessage ValidateMessageRequest ValidateMessageResponse
    POST /v1/{parent=projects/*}/schemas:validateMessage *
ValidateSchema ValidateSchemaRequest ValidateSchemaResponse
    POST /v1/{parent=projects/*}/schemas:validate *

[google.pubsub.v1.Subscriber]
Acknowledge AcknowledgeRequest google.protobuf.Empty
    POST /v1/{subscription=projects/*/subscriptions/*}:acknowledge *
CreateSnapshot CreateSnapshotRequest Snapshot
    PUT /v1/{name=projects/*/snapshots/*} *
CreateSubscription Subscription Subscription
    PUT /v1/{name=projects/*/subscriptions/*} *
DeleteSnapshot DeleteSnapshotRequest google.protobuf.Empty
    DELETE /v1/{snapshot=projects/*/snapshots/*}
DeleteSubscription DeleteSubscriptionRequest google.protobuf.Empty
    DELETE /v1/{subscription=projects/*/subscriptions/*}
GetSnapshot GetSnapshotRequest Snapshot
    GET /v1/{snapshot=projects/*/snapshots/*}
GetSubscription GetSubscriptionRequest Subscription
    GET /v1/{subscription=projects/*/subscriptions/*}
ListSnapshots ListSnapshotsRequest ListSnapshotsResponse
    GET /v1/{project=projects/*}/snapshots
ListSubscriptions ListSubscriptionsRequest ListSubscriptionsResponse
    GET /v1/{project=projects/*}/subscriptions
ModifyAckDeadline ModifyAckDeadlineRequest google.protobuf.Empty
    POST /v1/{subscription=projects/*/subscriptions/*}:modifyAckDeadline *
ModifyPushConfig ModifyPushConfigRequest google.protobuf.Empty
    POST /v1/{subscription=projects/*/subscriptions/*}:modifyPushConfig *
Pull PullRequest PullResponse
    POST /v1/{subscription=projects/*/subscriptions/*}:pull *
Seek SeekRequest SeekResponse
    POST /v1/{subscription=projects/*/subscriptions/*}:seek *
StreamingPull StreamingPullRequest StreamingPullResponse stream
UpdateSnapshot UpdateSnapshotRequest Snapshot
    PATCH /v1/{snapshot.name=projects/*/snapshots/*} *
UpdateSubscription UpdateSubscriptionRequest Subscription
    PATCH /v1/{subscription.name=projects/*/subscriptions/*} *

[google.longrunning.Operations]
ListOperations ListOperationsRequest ListOperationsResponse
    GET /v2/{name=projects/*/locations/*}/operations
    GET /v1/{name=projects/*/locations/*}/operations
GetOperation GetOperationRequest Operation
    GET /v2/{name=projects/*/locations/*/operations/*}
    GET /v1/{name=projects/*/locations/*/operations/*}
DeleteOperation DeleteOperationRequest google.protobuf.Empty
    DELETE /v2/{name=projects/*/locations/*/operations/*}
    DELETE /v1/{name=projects/*/locations/*/operations/*}
CancelOperation CancelOperationRequest google.protobuf.Empty
    POST /v1/{name=projects/*/locations/*/operations/*}:cancel *
WaitOperation WaitOperationRequest Operation
    POST /v2/{name=projects/*/locations/*/operations/*}:wait *
"""


def read(table: str) -> Iterator[Method]:
    """The methods of a table as above; names without a dot belong to the service's package."""
    service = package = ""
    blocks: list[list[str]] = []
    for line in filter(None, table.splitlines()):
        if line.startswith("["):
            blocks.append([line[1:-1]])
        elif line.startswith(" "):
            blocks[-1].append(line)
        else:
            blocks.append([line])
    for head, *rules in blocks:
        if " " not in head:
            service, package = head, head.rpartition(".")[0]
            continue
        name, request, response, *stream = head.split()
        yield Method(
            service,
            name,
            _full(package, request),
            _full(package, response),
            bool(stream),
            tuple(HttpRule(*rule.split()) for rule in rules),
        )


def _full(package: str, name: str) -> str:
    return name if "." in name else f"{package}.{name}"


METHODS = tuple(read(TABLE))
# storage.objects.get and the like, which have no gRPC: JsonApi adds what it serves
JSON_METHODS: set[str] = set()
