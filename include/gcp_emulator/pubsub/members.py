"""Members of a policy's bindings: https://cloud.google.com/iam/docs/principal-identifiers"""

import re

from gcp_emulator.errors import InvalidArgument

ALL = frozenset({"allUsers", "allAuthenticatedUsers"})
# What Google knows of each kind only it can tell; here its form is all that is looked at.
KINDS = {
    "user": ("User", re.compile(r"[^@\s:]+@[^@\s:]+")),
    "serviceAccount": ("Service account", re.compile(r"[^@\s:]+@[^@\s:]+")),
    "group": ("Group", re.compile(r"[^@\s:]+@[^@\s:]+")),
    "domain": ("Domain", re.compile(r"[^@\s:]+\.[^@\s:]+")),
}
# Nobody can be shown to be one of these: projects have no policies here, and there is no directory of identities.
OTHERS = re.compile(
    r"project(Owner|Editor|Viewer):[^\s:]+|deleted:(user|serviceAccount|group):\S+\?uid=\d+|principal(Set)?://\S+"
)


def check_member(member: str) -> None:
    """InvalidArgument for what cannot be a member."""
    kind, _, name = member.partition(":")
    if member in ALL or OTHERS.fullmatch(member):
        return
    if kind not in KINDS or not name:
        raise InvalidArgument(
            f"The member {member} is of an unknown type. Please set a valid type prefix for the member."
        )
    word, form = KINDS[kind]
    if not form.fullmatch(name):
        raise InvalidArgument(f"{word} {name} does not exist.")


def includes(member: str, caller: str) -> bool:
    """Whether a caller with a name is this member; of a group nobody is known to be."""
    kind, _, name = member.lower().partition(":")
    if kind in ("user", "serviceaccount"):
        return name == caller.lower()
    if kind == "domain":
        return caller.lower().endswith(f"@{name}")
    return member in ALL
