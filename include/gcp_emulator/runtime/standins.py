"""Well-known public images that need no folder: this machine's own interpreter and shell stand in for them."""

import re
from pathlib import Path

from gcp_emulator.runtime.dockerfile import DEFAULT_PATH
from gcp_emulator.runtime.image import Image
from gcp_emulator.runtime.pretend import IMAGE as PRETEND

VM = "batch-debian"  # the image of Batch's own machines, on which scripts run

# Name -> CMD. Tags are not looked at: python:3.9 is the interpreter that the emulator runs on.
COMMANDS: dict[str, tuple[str, ...]] = {
    "python": ("python3",),
    "busybox": ("sh",),
    "alpine": ("/bin/sh",),
    "bash": ("bash",),
    "debian": ("bash",),
    "ubuntu": ("/bin/bash",),
    VM: ("/bin/sh",),
}
# Only where they are public: a registry of one's own may hold anything under these names.
PUBLIC = re.compile(
    r"(?:(?:docker\.io/|index\.docker\.io/|mirror\.gcr\.io/)?(?:library/)?|gcr\.io/google-containers/)([\w-]+)(?:[@:].*)?"
)


def stand_in(uri: str) -> Image | None:
    """The image that stands in for a public one, if there is one."""
    if uri == PRETEND:
        return Image(uri, Path("/nonexistent"), (), ("seconds=0",), {}, "/", {})
    found = PUBLIC.fullmatch(uri)
    if not found or found[1] not in COMMANDS:
        return None
    folder = Path("/nonexistent") / found[1]  # it has no files and no requirements
    return Image(uri, folder, (), COMMANDS[found[1]], {"PATH": DEFAULT_PATH}, "/", {})
