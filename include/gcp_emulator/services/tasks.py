"""google.cloud.run.v2.Tasks"""

import re
from typing import Any

from gcp_emulator.calls import Call
from gcp_emulator.errors import InvalidArgument
from gcp_emulator.messages import RUN, Task, message_class
from gcp_emulator.pages import list_page
from gcp_emulator.run.engine import Engine
from gcp_emulator.run.names import missing
from gcp_emulator.store import Store

PARENT = re.compile(r"projects/[^/]+/locations/[^/]+/jobs/[^/]+/executions/[^/]+")


class Tasks:
    """The tasks of executions, read only."""

    def __init__(self, store: Store, engine: Engine) -> None:
        self._store = store
        self._engine = engine

    async def GetTask(self, request: Any, call: Call) -> Any:
        task = self._store.get(Task, request.name)
        if task is None:
            raise missing("TASK", request.name)
        return task

    async def ListTasks(self, request: Any, call: Call) -> Any:
        parent = request.parent
        if not PARENT.fullmatch(parent):
            raise InvalidArgument.field(
                "parent", f"'{parent}' is not .../jobs/<job or ->/executions/<execution or ->"
            )
        if "-" not in parent.split("/"):
            self._engine.find(parent)
        tasks, token = list_page(self._store, Task, parent, request, oldest_first=True)
        return message_class(f"{RUN}.ListTasksResponse")(tasks=tasks, next_page_token=token)
