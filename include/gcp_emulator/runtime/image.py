"""A folder of the images folder as a container image: what its Dockerfile says, without a build."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gcp_emulator.runtime.context import CopyMissing, File, read_context, stage_files
from gcp_emulator.runtime.dockerfile import parse
from gcp_emulator.runtime.errors import ImageInvalid, ImageNotFound


@dataclass(frozen=True, slots=True)
class Image:
    """What a container starts from; `files` maps absolute container paths to files of the folder."""

    uri: str
    folder: Path
    entrypoint: tuple[str, ...]
    cmd: tuple[str, ...]
    env: Mapping[str, str]
    workdir: str
    files: Mapping[str, File]

    @property
    def requirements(self) -> Path | None:
        """The folder's requirements.txt, if it has one."""
        path = self.folder / "requirements.txt"
        return path if path.is_file() else None


def image_name(uri: str) -> str:
    """The last path segment without tag and digest, with "_" for "-": `host/p/r/dlt-ingestion:1` -> `dlt_ingestion`."""
    return re.split("[@:]", uri.rpartition("/")[2])[0].replace("-", "_")


def find_image(images: Path, uri: str) -> Image:
    """Reads the folder that the URI names, anew each time, so that an edit counts from the next run on.

    Raises ImageNotFound and ImageInvalid.
    """
    name = image_name(uri)
    folders = sorted(path for path in images.iterdir() if path.is_dir()) if images.is_dir() else []
    folder = next((path for path in folders if name and path.name.replace("-", "_") == name), None)
    if folder is None:
        known = ", ".join(path.name for path in folders if (path / "Dockerfile").is_file()) or "none"
        how = f"add a folder {images / (name or 'NAME')} with a Dockerfile (known images: {known})."
        raise ImageNotFound(uri, how)
    try:
        text = (folder / "Dockerfile").read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ImageInvalid(uri, f"{folder} has no Dockerfile.") from None
    return _image(uri, folder, text)


def _image(uri: str, folder: Path, dockerfile: str) -> Image:
    try:
        stages = parse(dockerfile)
        files = stage_files(stages, read_context(folder))
    except CopyMissing as error:
        reason = f"{folder / 'Dockerfile'} copies '{error.source}', which {folder} does not hold."
        raise ImageInvalid(uri, reason) from error
    except ValueError as error:  # unbalanced quotes, from shlex
        raise ImageInvalid(uri, f"{folder / 'Dockerfile'}: {error}.") from error
    if not stages:
        raise ImageInvalid(uri, f"{folder / 'Dockerfile'} has no FROM.")
    last = stages[-1]
    return Image(uri, folder, last.entrypoint, last.cmd, dict(last.env), last.workdir, files)
