"""One ear for all waits of a process: each end of a job that Pub/Sub tells of wakes whoever waits for that job."""

from gcp_jobs.hub.hub import Hub, hub_for
from gcp_jobs.hub.waiter import Waiter

__all__ = ["Hub", "Waiter", "hub_for"]
