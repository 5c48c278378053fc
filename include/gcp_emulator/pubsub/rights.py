"""Who may do what with a topic, subscription or snapshot: https://cloud.google.com/pubsub/docs/access-control.

One whose policy nobody has set is open to all, as a project's is to its owner: projects have no policies here. With a
policy, even an empty one, a caller with a name may do what the roles that it binds to that name let do; a caller
without one (no credentials at all) is taken for the owner of the project.
"""

import secrets
from typing import Any

from gcp_emulator import identity
from gcp_emulator.errors import Aborted, InvalidArgument
from gcp_emulator.messages import IAM, message_class
from gcp_emulator.pubsub.members import check_member, includes
from gcp_emulator.pubsub.refusals import Unimplemented, not_authorized
from gcp_emulator.pubsub.roles import ROLES
from gcp_emulator.store import Store

Policy = message_class(f"{IAM}.Policy")
UNSET = b"\x00\x20\x01"  # the etag of a policy that nobody has set: ACAB in base64
VERSIONS = (0, 1, 3)


class Rights:
    """The policies by resource name; kept in the store, but for those of snapshots, which it does not keep either."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._policies = dict(store.named(Policy))

    def need(self, caller: str, permission: str, resource: str) -> None:
        """PermissionDenied unless the caller has it on this resource, there or not."""
        if not self.allow(caller, permission, resource):
            raise not_authorized()

    def allow(self, caller: str, permission: str, resource: str) -> bool:
        policy = self._policies.get(resource)
        return (
            policy is None
            or caller == identity.ANONYMOUS
            or any(
                permission in ROLES[binding.role]
                and any(includes(member, caller) for member in binding.members)
                for binding in policy.bindings
            )
        )

    def policy(self, resource: str) -> Any:
        """The google.iam.v1.Policy of a resource."""
        return self._policies.get(resource) or Policy(etag=UNSET)

    def set(self, resource: str, given: Any) -> Any:
        """The policy as it is now; Aborted when it has changed since the caller read it."""
        if given.etag and given.etag != self.policy(resource).etag:
            raise Aborted(
                "There were concurrent policy changes. Please retry the whole read-modify-write with exponential "
                "backoff."
            )
        policy = self._policies[resource] = _complete(given)
        if "/snapshots/" not in resource:
            self._store.put(policy, resource)
        return policy

    def forget(self, resource: str) -> None:
        """The resource is gone, and its policy with it."""
        if self._policies.pop(resource, None) is not None:
            self._store.remove(Policy, resource)


def _complete(given: Any) -> Any:
    """The policy as it is kept, one binding a role; InvalidArgument or Unimplemented when it cannot be."""
    if given.version not in VERSIONS:
        raise InvalidArgument(f"Invalid policy version {given.version}: it must be 0, 1 or 3.")
    if given.audit_configs:
        raise Unimplemented.feature("audit_configs in a policy", "read the calls at /emulator/calls")
    bound: dict[str, dict[str, None]] = {}
    for binding in given.bindings:
        if binding.HasField("condition"):
            raise Unimplemented.feature("Conditions in a policy", "bind the role without one")
        if binding.role.startswith(("projects/", "organizations/")):
            raise Unimplemented.feature("Custom roles", f"bind one of {', '.join(ROLES)}")
        if binding.role not in ROLES:
            raise InvalidArgument(f"Role {binding.role} is not supported for this resource.")
        for member in binding.members:
            check_member(member)
        bound.setdefault(binding.role, {}).update(dict.fromkeys(binding.members))
    bindings = [{"role": role, "members": members} for role, members in bound.items() if members]
    return Policy(version=1, bindings=bindings, etag=secrets.token_bytes(8))
