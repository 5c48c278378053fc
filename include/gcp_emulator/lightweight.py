"""Lets a process load Google's message classes without their clients, which cost seconds to import."""

import sys
from importlib import util

PACKAGES = (
    "google.cloud.batch_v1",
    "google.cloud.run_v2",
    "google.cloud.secretmanager_v1",
    "google.cloud.logging_v2",
    "google.cloud.monitoring_v3",
    "google.pubsub_v1",
)


def install() -> None:
    """Put an unexecuted package in place of each client library.

    Importing `<package>.types` then runs the message modules alone. Only for a process that uses no client of
    these libraries: the emulator's own.
    """
    for name in PACKAGES:
        spec = util.find_spec(name)
        if spec is not None and name not in sys.modules:
            sys.modules[name] = util.module_from_spec(spec)
