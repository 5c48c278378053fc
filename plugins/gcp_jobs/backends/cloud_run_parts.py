"""Volumes and networks as google.cloud.run_v2 messages, both ways."""

from collections.abc import Mapping
from posixpath import basename, dirname
from typing import Any

from google.cloud import run_v2

from gcp_jobs.errors import ConfigurationRefused
from gcp_jobs.spec import Egress, Network, Volume

_FILES = "secret-files-"
_EGRESS = {
    Egress.ALL_TRAFFIC: run_v2.VpcAccess.VpcEgress.ALL_TRAFFIC,
    Egress.PRIVATE_RANGES_ONLY: run_v2.VpcAccess.VpcEgress.PRIVATE_RANGES_ONLY,
}


def secret_folders(files: Mapping[str, str]) -> list[tuple[str, str, dict[str, str]]]:
    """Group secret files by folder, as (volume name, folder, {file: secret}): Cloud Run mounts one secret a folder."""
    folders: dict[str, dict[str, str]] = {}
    for path, secret in files.items():
        folders.setdefault(dirname(path), {})[basename(path)] = secret
    for folder, items in folders.items():
        if len({secret.rpartition(":")[0] for secret in items.values()}) > 1 or folder == "/":
            raise ConfigurationRefused(
                "Cloud Run mounts one secret a folder", where=f"secret_files in {folder}",
                todo="Give each secret a folder of its own, such as /secrets/<name>/key.",
            )  # fmt: skip
    return [(f"{_FILES}{n}", folder, folders[folder]) for n, folder in enumerate(folders)]


def to_secret_volume(name: str, items: Mapping[str, str]) -> run_v2.Volume:
    """Build the volume of one folder of secret files, readable by the job alone."""
    secret = next(iter(items.values())).rpartition(":")[0]
    return run_v2.Volume(
        name=name,
        secret=run_v2.SecretVolumeSource(
            secret=secret,
            default_mode=0o400,
            items=[run_v2.VersionToPath(path=p, version=s.rpartition(":")[2]) for p, s in items.items()],
        ),
    )


def to_volume(volume: Volume) -> run_v2.Volume:
    """Build a volume."""
    if volume.gcs is not None:
        source: dict[str, Any] = {
            "gcs": run_v2.GCSVolumeSource(
                bucket=volume.gcs, read_only=volume.read_only, mount_options=volume.mount_options
            )
        }
    elif volume.nfs is not None:
        server, _, path = volume.nfs.partition(":")
        source = {"nfs": run_v2.NFSVolumeSource(server=server, path=path, read_only=volume.read_only)}
    else:
        memory = run_v2.EmptyDirVolumeSource.Medium.MEMORY
        source = {"empty_dir": run_v2.EmptyDirVolumeSource(medium=memory, size_limit=volume.memory or "")}
    return run_v2.Volume(name=volume.name, **source)


def from_volume(volume: run_v2.Volume, path: str | None) -> dict[str, Any]:
    """Read a volume back, as fields of spec.Volume."""
    common: dict[str, Any] = {"name": volume.name, "path": path}
    if volume.gcs.bucket:
        gcs = volume.gcs
        return common | {
            "gcs": gcs.bucket,
            "read_only": gcs.read_only,
            "mount_options": tuple(gcs.mount_options),
        }
    if volume.nfs.server:
        return common | {"nfs": f"{volume.nfs.server}:{volume.nfs.path}", "read_only": volume.nfs.read_only}
    return common | {"memory": volume.empty_dir.size_limit}


def to_vpc(network: Network) -> run_v2.VpcAccess:
    """Build the network access."""
    direct = []
    if not network.connector:
        direct = [
            run_v2.VpcAccess.NetworkInterface(
                network=network.network or "", subnetwork=network.subnetwork or "", tags=network.tags
            )
        ]
    return run_v2.VpcAccess(
        connector=network.connector or "", network_interfaces=direct, egress=_EGRESS[network.egress]
    )


def from_vpc(access: run_v2.VpcAccess) -> dict[str, Any]:
    """Read a network access back, as fields of spec.Network."""
    egress = next((k for k, v in _EGRESS.items() if v == access.egress), Egress.PRIVATE_RANGES_ONLY)
    if access.connector:
        return {"connector": access.connector, "egress": egress}
    direct = access.network_interfaces[0]
    return {
        "network": direct.network or None,
        "subnetwork": direct.subnetwork or None,
        "tags": tuple(direct.tags),
        "egress": egress,
    }
