"""google.cloud.secretmanager.v1.SecretManagerService"""

import re
from typing import Any

import google_crc32c
from google.protobuf import empty_pb2, wrappers_pb2

from gcp_emulator.calls import Call
from gcp_emulator.errors import AlreadyExists, FailedPrecondition, InvalidArgument, NotFound
from gcp_emulator.filters import check, matches, parse
from gcp_emulator.messages import SECRETS, Secret, SecretVersion, message_class, now
from gcp_emulator.pages import make_token, page_size, read_token
from gcp_emulator.run.execution import new_etag
from gcp_emulator.store import Store

PARENT = re.compile(r"projects/[^/]+(/locations/[^/]+)?")
SECRET_ID = re.compile(r"[a-zA-Z0-9_-]{1,255}")
LABEL_KEY = re.compile(r"[a-z][a-z0-9_-]{0,62}")
MAX_PAYLOAD = 64 * 1024  # https://cloud.google.com/secret-manager/quotas
MUTABLE = frozenset({"labels", "annotations", "version_aliases", "expire_time", "ttl", "topics", "rotation"})
ENABLED, DISABLED, DESTROYED = 1, 2, 3  # SecretVersion.State
STATE_NAMES = {ENABLED: "ENABLED", DISABLED: "DISABLED", DESTROYED: "DESTROYED"}


class SecretManagerService:
    """Secrets and their versions; payloads lie beside the versions, under their names."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def payload(self, version_name: str) -> bytes:
        """The bytes of an enabled version; `latest` is the one with the highest number."""
        version = self._version(version_name)
        if version.state != ENABLED:
            state = STATE_NAMES[version.state]
            raise FailedPrecondition(f"Secret Version [{version.name}] is in {state} state.")
        kept = self._store.get(wrappers_pb2.BytesValue, version.name)
        return bytes(kept.value) if kept is not None else b""

    async def CreateSecret(self, request: Any, call: Call) -> Any:
        if not PARENT.fullmatch(request.parent):
            raise InvalidArgument(f"Invalid resource field value in the request: parent [{request.parent}].")
        if not SECRET_ID.fullmatch(request.secret_id):
            raise InvalidArgument(
                f"Secret ID [{request.secret_id}] must be 1 to 255 letters, digits, hyphens and underscores."
            )
        name = f"{request.parent}/secrets/{request.secret_id}"
        if self._store.get(Secret, name) is not None:
            raise AlreadyExists(f"Secret [{name}] already exists.")
        regional = "/locations/" in request.parent
        if not regional and request.secret.replication.WhichOneof("replication") is None:
            raise InvalidArgument("Secret.replication must be set: automatic or user_managed.")
        _check_labels(request.secret.labels)
        secret = Secret()
        secret.CopyFrom(request.secret)
        secret.name, secret.etag = name, new_etag()
        secret.create_time.CopyFrom(now())
        self._store.put(secret)
        return secret

    async def GetSecret(self, request: Any, call: Call) -> Any:
        return self._secret(request.name)

    async def ListSecrets(self, request: Any, call: Call) -> Any:
        if not PARENT.fullmatch(request.parent):
            raise InvalidArgument(f"Invalid resource field value in the request: parent [{request.parent}].")
        found, token, total = self._filtered(Secret, request.parent, request)
        return message_class(f"{SECRETS}.ListSecretsResponse")(
            secrets=found, next_page_token=token, total_size=total
        )

    async def UpdateSecret(self, request: Any, call: Call) -> Any:
        secret = self._secret(request.secret.name)
        paths = list(request.update_mask.paths)
        if not paths:
            raise InvalidArgument("update_mask must name at least one field.")
        self._check_etag(secret, request.secret.etag)
        for path in paths:
            if path.partition(".")[0] not in MUTABLE:
                raise InvalidArgument(f"Field [{path}] cannot be updated.")
        _check_labels(request.secret.labels)
        request.update_mask.MergeMessage(request.secret, secret, True, True)
        for path in paths:
            if path in {
                "labels",
                "annotations",
                "version_aliases",
            }:  # a mask merges maps, Google replaces them
                getattr(secret, path).clear()
                getattr(secret, path).update(getattr(request.secret, path))
        secret.etag = new_etag()
        self._store.put(secret)
        return secret

    async def DeleteSecret(self, request: Any, call: Call) -> Any:
        secret = self._secret(request.name)
        self._check_etag(secret, request.etag)
        for _, version in self._store.page(SecretVersion, secret.name):
            self._store.remove(wrappers_pb2.BytesValue, version.name)
            self._store.remove(SecretVersion, version.name)
        self._store.remove(Secret, secret.name)
        return empty_pb2.Empty()

    async def AddSecretVersion(self, request: Any, call: Call) -> Any:
        secret = self._secret(request.parent)
        data = request.payload.data
        if not request.HasField("payload") or not data:
            raise InvalidArgument("Secret Payload cannot be empty.")
        if len(data) > MAX_PAYLOAD:
            raise InvalidArgument(f"Secret Payload is {len(data)} bytes, at most {MAX_PAYLOAD} are allowed.")
        if request.payload.HasField("data_crc32c") and request.payload.data_crc32c != google_crc32c.value(
            data
        ):
            raise InvalidArgument("Secret Payload checksum does not match data_crc32c.")
        newest = self._newest(secret.name)
        number = int(newest.name.rpartition("/")[2]) + 1 if newest else 1
        version = SecretVersion(name=f"{secret.name}/versions/{number}", state=ENABLED, etag=new_etag())
        version.create_time.CopyFrom(now())
        version.client_specified_payload_checksum = request.payload.HasField("data_crc32c")
        version.replication_status.automatic.SetInParent()
        self._store.put(wrappers_pb2.BytesValue(value=data), version.name)
        self._store.put(version)
        return version

    async def GetSecretVersion(self, request: Any, call: Call) -> Any:
        return self._version(request.name)

    async def ListSecretVersions(self, request: Any, call: Call) -> Any:
        secret = self._secret(request.parent)
        found, token, total = self._filtered(SecretVersion, secret.name, request)
        return message_class(f"{SECRETS}.ListSecretVersionsResponse")(
            versions=found, next_page_token=token, total_size=total
        )

    def _filtered(self, cls: Any, parent: str, request: Any) -> tuple[list[Any], str, int]:
        """A page of what fulfils the request's filter, the next page's token, and how many there are in all."""
        wanted = parse(request.filter)
        check(wanted, cls)
        rows = [(seq, message) for seq, message in self._store.page(cls, parent) if matches(wanted, message)]
        scope = (cls.DESCRIPTOR.full_name, parent, request.filter)
        position, size = read_token(request.page_token, *scope), page_size(request.page_size, 25_000, 25_000)
        rest = [row for row in rows if position is None or row[0] < int(position)]
        token = make_token(rest[size - 1][0], *scope) if len(rest) > size else ""
        return [message for _, message in rest[:size]], token, len(rows)

    async def AccessSecretVersion(self, request: Any, call: Call) -> Any:
        data = self.payload(request.name)
        response = message_class(f"{SECRETS}.AccessSecretVersionResponse")(
            name=self._version(request.name).name
        )
        response.payload.data = data
        response.payload.data_crc32c = google_crc32c.value(data)
        return response

    async def EnableSecretVersion(self, request: Any, call: Call) -> Any:
        return self._move(request, ENABLED)

    async def DisableSecretVersion(self, request: Any, call: Call) -> Any:
        return self._move(request, DISABLED)

    async def DestroySecretVersion(self, request: Any, call: Call) -> Any:
        return self._move(request, DESTROYED)

    def _move(self, request: Any, state: int) -> Any:
        version = self._version(request.name)
        self._check_etag(version, request.etag)
        if version.state == DESTROYED:
            raise FailedPrecondition(f"Secret Version [{version.name}] is in DESTROYED state.")
        version.state, version.etag = state, new_etag()
        if state == DESTROYED:
            version.destroy_time.CopyFrom(now())
            self._store.remove(wrappers_pb2.BytesValue, version.name)
        self._store.put(version)
        return version

    def _secret(self, name: str) -> Any:
        secret = self._store.get(Secret, name)
        if secret is None:
            raise NotFound(f"Secret [{name}] not found.")
        return secret

    def _version(self, name: str) -> Any:
        parent, _, number = name.partition("/versions/")
        if number == "latest":
            found = self._newest(parent)
            if found is None:
                raise NotFound(f"Secret [{parent}] not found or has no versions.")
            return found
        alias = self._secret(parent).version_aliases.get(number) if not number.isdigit() else None
        found = self._store.get(SecretVersion, f"{parent}/versions/{alias or number}")
        if found is None:
            raise NotFound(f"Secret Version [{name}] not found.")
        return found

    def _newest(self, parent: str) -> Any | None:
        rows = self._store.page(SecretVersion, parent, limit=1)
        return rows[0][1] if rows else None

    def _check_etag(self, resource: Any, etag: str) -> None:
        if etag and etag != resource.etag:
            raise FailedPrecondition(f"The etag {etag} does not match the current one, {resource.etag}.")


def _check_labels(labels: Any) -> None:
    for key in labels:
        if not LABEL_KEY.fullmatch(key):
            raise InvalidArgument(
                f"Label key [{key}] must begin with a lowercase letter and hold a-z, 0-9, _ and -."
            )
