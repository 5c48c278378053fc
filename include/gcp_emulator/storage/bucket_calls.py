"""storage.buckets.* and storage.notifications.*"""

from collections.abc import Callable
from typing import Any

from gcp_emulator.errors import PermissionDenied
from gcp_emulator.json_api import Refusal
from gcp_emulator.storage import bucket as rules
from gcp_emulator.storage.call import Call
from gcp_emulator.storage.changes import KIND, TOPIC, Event, Payload
from gcp_emulator.storage.conditions import number
from gcp_emulator.storage.refusals import invalid, required
from gcp_emulator.storage.shelf import Shelf

MOST = 1000


class BucketCalls:
    """Blocking; what they give is the JSON answer."""

    def __init__(self, shelf: Shelf) -> None:
        self._buckets = shelf.buckets

    def insert(self, call: Call) -> dict[str, Any]:
        made = self._buckets.insert(call.query.get("project", ""), call.body)
        return rules.shown(made, call.base, full=call.full)

    def get(self, call: Call) -> dict[str, Any]:
        return rules.shown(self._buckets.find(call.bucket, call.conditions), call.base, full=call.full)

    def list(self, call: Call) -> dict[str, Any]:
        project = call.query.get("project", "")
        if not project:
            raise required("project")
        after, prefix = call.query.get("pageToken", ""), call.query.get("prefix", "")
        found = [
            bucket
            for bucket in self._buckets.list(project)
            if bucket["name"] > after and bucket["name"].startswith(prefix)
        ]
        limit = min(number(call.query, "maxResults") or MOST, MOST)
        items = [rules.shown(bucket, call.base, full=call.full) for bucket in found[:limit]]
        answer: dict[str, Any] = {"kind": "storage#buckets", **({"items": items} if items else {})}
        return answer if len(found) <= limit else {**answer, "nextPageToken": found[limit - 1]["name"]}

    def patch(self, call: Call) -> dict[str, Any]:
        return self._changed(call, replace=False)

    def update(self, call: Call) -> dict[str, Any]:
        return self._changed(call, replace=True)

    def delete(self, call: Call) -> None:
        self._buckets.delete(call.bucket, call.conditions)

    def layout(self, call: Call) -> dict[str, Any]:
        about = self._buckets.find(call.bucket)
        shown = {field: about[field] for field in ("location", "locationType")}
        return {
            "kind": "storage#storageLayout",
            "bucket": call.bucket,
            **shown,
            "hierarchicalNamespace": {"enabled": False},
        }

    def no_folders(self, call: Call) -> dict[str, Any]:
        """Managed folders, of which there are none."""
        self._buckets.find(call.bucket)
        return {"kind": "storage#managedFolders"}

    def _changed(self, call: Call, *, replace: bool) -> dict[str, Any]:
        made = self._buckets.change(call.bucket, call.body, call.conditions, replace=replace)
        return rules.shown(made, call.base, full=call.full)


class NotificationCalls:
    """`check_topic` raises where a topic `projects/p/topics/t` is missing, or where `agent`, who publishes for buckets,
    may not publish; called from any thread."""

    def __init__(self, shelf: Shelf, check_topic: Callable[[str], object], agent: str) -> None:
        self._shelf = shelf
        self._check_topic = check_topic
        self._agent = agent

    def insert(self, call: Call) -> dict[str, Any]:
        self._shelf.buckets.find(call.bucket)
        topic, payload = str(call.body.get("topic", "")), call.body.get("payload_format")
        if not topic.startswith(TOPIC) or len(topic.removeprefix(TOPIC).split("/")) != 4:
            raise invalid(
                f"Invalid Google Cloud Pub/Sub topic. It should look like '{TOPIC}projects/*/topics/*'."
            )
        if payload not in list(Payload):
            raise invalid(
                f"Invalid payload format: {payload}" if payload else "You must specify a payload format."
            )
        unknown = [kind for kind in call.body.get("event_types", ()) if kind not in list(Event)]
        if unknown:
            raise invalid(f"Invalid event type: {unknown[0]}")
        try:
            self._check_topic(topic.removeprefix(TOPIC))
        except PermissionDenied as error:
            said = f"The service account '{self._agent}' does not have permission to publish messages to to the Cloud"
            raise Refusal(
                403, "forbidden", f"{said} Pub/Sub topic '{topic}', or that topic does not exist."
            ) from error
        wanted = ("topic", "payload_format", "event_types", "custom_attributes", "object_name_prefix")
        made = {field: call.body[field] for field in wanted if call.body.get(field)}
        with self._shelf.catalogue.change():
            taken = [int(config["id"]) for config in self._shelf.catalogue.notes(KIND, call.bucket)]
            made["id"] = str(max(taken, default=0) + 1)
            self._shelf.catalogue.put_note(KIND, call.bucket, made["id"], made)
        return _shown(made, call)

    def service_account(self, call: Call) -> dict[str, Any]:
        """The agent's e-mail, to grant a right to."""
        return {"kind": "storage#serviceAccount", "email_address": self._agent}

    def get(self, call: Call) -> dict[str, Any]:
        self._shelf.buckets.find(call.bucket)
        return _shown(self._found(call), call)

    def list(self, call: Call) -> dict[str, Any]:
        self._shelf.buckets.find(call.bucket)
        items = [_shown(config, call) for config in self._shelf.catalogue.notes(KIND, call.bucket)]
        return {"kind": "storage#notifications", **({"items": items} if items else {})}

    def delete(self, call: Call) -> None:
        self._found(call)
        self._shelf.catalogue.drop_note(KIND, call.bucket, call.path["notification"])

    def _found(self, call: Call) -> dict[str, Any]:
        found = self._shelf.catalogue.note(KIND, call.bucket, call.path["notification"])
        if found is None:
            raise Refusal(404, "notFound", "The specified notification does not exist.")
        return found


def _shown(config: dict[str, Any], call: Call) -> dict[str, Any]:
    path = f"b/{call.bucket}/notificationConfigs/{config['id']}"
    return {
        "kind": "storage#notification",
        "selfLink": f"{call.base}/storage/v1/{path}",
        "etag": config["id"],
        **config,
    }
