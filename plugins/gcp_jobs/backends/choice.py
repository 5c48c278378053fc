"""Which backend a job reference means."""

from gcp_jobs.backends.base import JobBackend
from gcp_jobs.clients import Access
from gcp_jobs.model import JobRef


def backend_for(ref: JobRef, access: Access) -> JobBackend:
    """Give the backend that `ref` names. Imports Google's libraries: keep it off an event loop."""
    if ref.on_batch:
        from gcp_jobs.backends.batch import BatchBackend

        return BatchBackend(access)
    from gcp_jobs.backends.cloud_run import CloudRunBackend

    return CloudRunBackend(access)
