"""google.iam.v1.IAMPolicy: on Google each API serves it for its own resources, here Pub/Sub alone does."""

from typing import Any

from gcp_emulator.calls import Call
from gcp_emulator.errors import InvalidArgument, NotFound
from gcp_emulator.messages import IAM, message_class
from gcp_emulator.pubsub.broker import PubSub
from gcp_emulator.pubsub.names import kind_of
from gcp_emulator.pubsub.roles import PERMISSIONS


class IAMPolicy:
    """The policies of topics, subscriptions and snapshots."""

    def __init__(self, pubsub: PubSub) -> None:
        self._pubsub = pubsub

    async def GetIamPolicy(self, request: Any, call: Call) -> Any:
        kind = self._pubsub.check_there(request.resource)
        self._pubsub.rights.need(call.caller, f"pubsub.{kind}.getIamPolicy", request.resource)
        return self._pubsub.rights.policy(request.resource)

    async def SetIamPolicy(self, request: Any, call: Call) -> Any:
        kind = self._pubsub.check_there(request.resource)
        self._pubsub.rights.need(call.caller, f"pubsub.{kind}.setIamPolicy", request.resource)
        if request.update_mask.paths and "bindings" not in request.update_mask.paths:
            raise InvalidArgument("update_mask must name bindings: a policy has nothing else to change.")
        return self._pubsub.set_policy(request.resource, request.policy)

    async def TestIamPermissions(self, request: Any, call: Call) -> Any:
        """Those of the permissions that the caller has; none on a resource that is not there, as documented."""
        kind = kind_of(request.resource)
        for permission in request.permissions:
            if permission not in PERMISSIONS[kind]:
                raise InvalidArgument(f"Permission {permission} is not valid for this resource.")
        answer = message_class(f"{IAM}.TestIamPermissionsResponse")
        try:
            self._pubsub.check_there(request.resource)
        except NotFound:
            return answer()
        rights = self._pubsub.rights
        held = [each for each in request.permissions if rights.allow(call.caller, each, request.resource)]
        return answer(permissions=held)
