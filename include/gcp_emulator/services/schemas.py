"""google.pubsub.v1.SchemaService: not here, and it says so."""

from typing import Any, NoReturn

from gcp_emulator.calls import Call
from gcp_emulator.pubsub.refusals import Unimplemented


class SchemaService:
    """Refuses by name, so that nobody takes messages for validated."""

    async def CreateSchema(self, request: Any, call: Call) -> NoReturn:
        raise Unimplemented.feature("Schemas of Pub/Sub", "publish without a schema")

    CommitSchema = DeleteSchema = DeleteSchemaRevision = GetSchema = ListSchemaRevisions = CreateSchema
    ListSchemas = RollbackSchema = ValidateMessage = ValidateSchema = CreateSchema
