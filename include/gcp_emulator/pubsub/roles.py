"""What each role may do with Pub/Sub's resources: https://cloud.google.com/pubsub/docs/access-control#roles"""

PERMISSIONS = {
    kind: frozenset(f"pubsub.{kind}.{verb}" for verb in verbs.split())
    for kind, verbs in {
        "topics": "attachSubscription create delete detachSubscription get getIamPolicy list publish setIamPolicy "
        "update updateTag",
        "subscriptions": "consume create delete get getIamPolicy list setIamPolicy update",
        "snapshots": "create delete get getIamPolicy list seek setIamPolicy update",
    }.items()
}
PUBLISH, CONSUME = "pubsub.topics.publish", "pubsub.subscriptions.consume"
_ADMIN = frozenset().union(*PERMISSIONS.values())
_EDITOR = frozenset(each for each in _ADMIN if not each.endswith("IamPolicy"))
_VIEWER = frozenset(each for each in _ADMIN if each.endswith((".get", ".list")))
ROLES = {
    "roles/pubsub.publisher": frozenset({PUBLISH}),
    "roles/pubsub.subscriber": frozenset(
        {CONSUME, "pubsub.topics.attachSubscription", "pubsub.snapshots.seek"}
    ),
    "roles/pubsub.viewer": _VIEWER,
    "roles/pubsub.editor": _EDITOR,
    "roles/pubsub.admin": _ADMIN,
    "roles/viewer": _VIEWER,
    "roles/editor": _EDITOR,
    "roles/owner": _ADMIN,
}
