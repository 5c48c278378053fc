"""The Google provider's Batch hooks talk to the emulator: they have no setting for it.

Python imports this in every process whose PYTHONPATH names this folder; only what makes a client is replaced.
"""

import os
from typing import Any

import wrapt


@wrapt.when_imported("airflow.providers.google.cloud.hooks.cloud_batch")  # type: ignore[misc, unused-ignore]
def _towards_the_emulator(hooks: Any) -> None:
    import grpc
    from google.cloud.batch_v1.services.batch_service import (
        BatchServiceAsyncClient,
        BatchServiceClient,
        transports,
    )

    address = os.environ["BATCH_EMULATOR_HOST"]

    def blocking(hook: Any) -> BatchServiceClient:
        channel = grpc.insecure_channel(address)
        return BatchServiceClient(transport=transports.BatchServiceGrpcTransport(channel=channel))

    def waiting(hook: Any) -> Any:
        if hook._client is None:
            channel = grpc.aio.insecure_channel(address)
            transport = transports.BatchServiceGrpcAsyncIOTransport(channel=channel)
            hook._client = BatchServiceAsyncClient(transport=transport)
        return hook._client

    hooks.CloudBatchHook.get_conn = blocking
    hooks.CloudBatchAsyncHook.get_conn = waiting
