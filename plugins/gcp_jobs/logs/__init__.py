"""Jobs' entries in Cloud Logging, brought into logs of ours: in order, without loss or doubles, gently."""

from gcp_jobs.logs.cursor import Cursor
from gcp_jobs.logs.follower import LogFollower, tail
from gcp_jobs.logs.following import Following
from gcp_jobs.logs.reads import shared_pace
from gcp_jobs.logs.source import Source, source_for

__all__ = ["Cursor", "Following", "LogFollower", "Source", "shared_pace", "source_for", "tail"]
