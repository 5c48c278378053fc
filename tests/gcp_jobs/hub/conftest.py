"""A status topic in the emulator that jobs tell their states to."""

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.gcp_jobs.hub.world import PROJECT, World

from gcp_jobs.clients import Access, client
from gcp_jobs.settings import settings


@pytest.fixture
def world(emulator: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    topic = f"projects/{PROJECT}/topics/states-{uuid.uuid4().hex[:8]}"
    monkeypatch.setenv("GCP_JOBS_STATUS_TOPIC", topic)
    settings.cache_clear()
    client("Publisher", Access()).create_topic(name=topic)
    here = World(emulator, topic)
    yield here
    here.heal()


@pytest.fixture
def set_(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Change settings: `set_(sweep_seconds=1)`."""

    def change(**values: object) -> None:
        for name, value in values.items():
            monkeypatch.setenv(f"GCP_JOBS_{name.upper()}", str(value))
        settings.cache_clear()

    return change
