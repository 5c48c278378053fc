"""What tests of followed logs share."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.gcp_jobs.logs.world import LogWorld

from gcp_jobs.settings import settings


@pytest.fixture
def world(emulator: Any) -> Iterator[LogWorld]:
    here = LogWorld(emulator)
    yield here
    here.heal()


@pytest.fixture
def set_(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Change settings: `set_(logs_by="lists")`."""
    from gcp_jobs.logs import shared_pace

    def change(**values: object) -> None:
        for name, value in values.items():
            monkeypatch.setenv(f"GCP_JOBS_{name.upper()}", str(value))
        settings.cache_clear()
        shared_pace.cache_clear()

    return change
