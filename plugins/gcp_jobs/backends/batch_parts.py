"""Secrets, volumes and networks as google.cloud.batch_v1 messages, both ways."""

import re
from collections.abc import Iterable
from typing import Any

from google.cloud import batch_v1

from gcp_jobs.spec import Egress, Network, Volume

_DISKS = "/mnt/disks/"  # where Batch's documents mount volumes on the machine
_MEMORY = "/dev/shm/gcp-jobs/"  # a memory file system of the machine
_VOLUME = "gcp-jobs-volume-"
_SIZE = "gcp-jobs-memory-"
_EGRESS = "gcp-jobs-egress"
_SECRET = re.compile(r"projects/([^/]+)/secrets/([^/]+)/versions/([^/]+)")
READ_ONLY = "ro"


def secret_version(secret: str, project: str) -> str:
    """Give the full name of `name:version`, or of `projects/P/secrets/name:version`."""
    name, _, version = secret.rpartition(":")
    full = name if "/" in name else f"projects/{project}/secrets/{name}"
    return f"{full}/versions/{version}"


def secret_name(version: str, project: str) -> str:
    """Read `secret_version` back: short where the secret lies in the job's own project."""
    found = _SECRET.fullmatch(version)
    if not found:
        return version
    short = found[2] if found[1] == project else f"projects/{found[1]}/secrets/{found[2]}"
    return f"{short}:{found[3]}"


def to_volume(volume: Volume) -> batch_v1.Volume:
    """Build a volume of the machine; memory volumes are none, they are a folder of its memory file system."""
    options = [*volume.mount_options, READ_ONLY] if volume.read_only else list(volume.mount_options)
    built = batch_v1.Volume(mount_path=f"{_DISKS}{volume.name}", mount_options=options)
    if volume.gcs is not None:
        built.gcs = batch_v1.GCS(remote_path=volume.gcs)
    elif volume.nfs is not None:
        server, _, path = volume.nfs.partition(":")
        built.nfs = batch_v1.NFS(server=server, remote_path=path)
    return built


def label_volumes(volumes: Iterable[Volume]) -> dict[str, str]:
    """Give labels that keep the volumes' order, and the sizes that Batch has no field for."""
    labels = {}
    for n, volume in enumerate(volumes):
        labels[f"{_VOLUME}{n}"] = volume.name
        if volume.memory:
            labels[f"{_SIZE}{n}"] = volume.memory.lower()
    return labels


def bind(volume: Volume, path: str) -> str:
    """Give the form in which a container mounts a volume of the machine."""
    folder = _MEMORY if volume.memory else _DISKS
    return f"{folder}{volume.name}:{path}" + (f":{READ_ONLY}" if volume.read_only else "")


def read_bind(text: str) -> tuple[str, str]:
    """Read volume name and path back."""
    source, path = text.split(":")[:2]
    return source.rpartition("/")[2], path


def from_volumes(volumes: Iterable[batch_v1.Volume], main: batch_v1.Runnable) -> list[dict[str, Any]]:
    """Read the volumes back, as fields of spec.Volume."""
    mounted, disks = (
        dict(map(read_bind, main.container.volumes)),
        {v.mount_path.removeprefix(_DISKS): v for v in volumes},
    )
    labelled = [key for key in main.labels if key.startswith(_VOLUME)]
    names = [main.labels[f"{_VOLUME}{n}"] for n in range(len(labelled))] or list(disks)
    found = []
    for n, name in enumerate(names):
        common: dict[str, Any] = {"name": name, "path": mounted.get(name)}
        if name in disks:
            found.append(common | _source(disks[name]))
        else:
            found.append(common | {"memory": _size(main.labels[f"{_SIZE}{n}"])})
    return found


def _size(label: str) -> str:
    """`512mi` -> `512Mi`."""
    return f"{label[:-2]}{label[-2:].capitalize()}"


def _source(volume: batch_v1.Volume) -> dict[str, Any]:
    options = tuple(option for option in volume.mount_options if option != READ_ONLY)
    common = {"read_only": READ_ONLY in volume.mount_options, "mount_options": options}
    if volume.gcs.remote_path:
        return common | {"gcs": volume.gcs.remote_path}
    return common | {"nfs": f"{volume.nfs.server}:{volume.nfs.remote_path}"}


def to_network(network: Network, region: str, policy: batch_v1.AllocationPolicy) -> None:
    """Put the machines into a network. All their traffic goes through it, whatever `egress` says."""
    interface = batch_v1.AllocationPolicy.NetworkInterface(
        network=_long(network.network, "global/networks"),
        subnetwork=_long(network.subnetwork, f"regions/{region}/subnetworks"),
        no_external_ip_address=network.no_external_ip,
    )
    policy.network.network_interfaces = [interface]
    policy.tags = list(network.tags)
    if network.egress is Egress.ALL_TRAFFIC:
        policy.labels[_EGRESS] = Egress.ALL_TRAFFIC.value


def from_network(policy: batch_v1.AllocationPolicy, region: str) -> dict[str, Any] | None:
    """Read the network back, as fields of spec.Network; None where there is none."""
    if not policy.network.network_interfaces:
        return None
    (interface,) = policy.network.network_interfaces
    return {
        "network": interface.network.removeprefix("global/networks/") or None,
        "subnetwork": interface.subnetwork.removeprefix(f"regions/{region}/subnetworks/") or None,
        "no_external_ip": interface.no_external_ip_address,
        "tags": tuple(policy.tags),
        "egress": policy.labels.get(_EGRESS, Egress.PRIVATE_RANGES_ONLY),
    }


def _long(name: str | None, collection: str) -> str:
    if not name or "/" in name:
        return name or ""
    return f"{collection}/{name}"
