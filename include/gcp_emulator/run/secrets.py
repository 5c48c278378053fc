"""Secrets of a task: resolved once, when an execution starts."""

from collections.abc import Mapping
from typing import Any, Protocol

from gcp_emulator.errors import ApiError
from gcp_emulator.runtime.model import SecretFile

DEFAULT_MODE = 0o444
READ_ONLY = ~0o222  # Cloud Run takes the write bits away


class SecretReader(Protocol):
    """Reads the payload of a secret version; an ApiError says why it cannot."""

    def payload(self, version_name: str) -> bytes: ...


class SecretsDenied(Exception):
    """A secret that a job refers to cannot be read; `error` is Secret Manager's own."""

    def __init__(self, name: str, account: str, error: ApiError) -> None:
        super().__init__(f"Secret {name} cannot be read by service account {account}: {error.message}")
        self.error = error


def version_name(project: str, secret: str, version: str) -> str:
    """A short name belongs to the job's project; a full one is taken as it is."""
    parent = secret if secret.startswith("projects/") else f"projects/{project}/secrets/{secret}"
    return f"{parent}/versions/{version or 'latest'}"


class SecretValues:
    """Reads what a template refers to, as one service account in one project."""

    def __init__(self, reader: SecretReader, project: str, service_account: str) -> None:
        self._reader = reader
        self._project = project
        self._account = service_account

    def env(self, container: Any) -> dict[str, str]:
        """The variables of a container with their secrets in place."""
        values = {}
        for variable in container.env:
            if variable.HasField("value_source"):
                reference = variable.value_source.secret_key_ref
                values[variable.name] = self._read(reference.secret, reference.version).decode(
                    errors="replace"
                )
            else:
                values[variable.name] = variable.value
        return values

    def files(self, source: Any) -> Mapping[str, SecretFile]:
        """The files of a secret volume; without items the latest version under the secret's own name."""
        default = source.default_mode or DEFAULT_MODE
        if not source.items:
            return {
                source.secret.rsplit("/", 1)[-1]: SecretFile(
                    self._read(source.secret, ""), default & READ_ONLY
                )
            }
        return {
            item.path: SecretFile(self._read(source.secret, item.version), (item.mode or default) & READ_ONLY)
            for item in source.items
        }

    def text(self, version_name: str) -> str:
        """The payload of a version given by its full name."""
        secret, _, version = version_name.partition("/versions/")
        return self._read(secret, version).decode(errors="replace")

    def _read(self, secret: str, version: str) -> bytes:
        name = version_name(self._project, secret, version)
        try:
            return self._reader.payload(name)
        except ApiError as error:
            raise SecretsDenied(name, self._account, error) from error
