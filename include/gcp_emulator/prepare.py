"""`python -m gcp_emulator.prepare`: makes the environments of all image folders, so that no job waits for them."""

import asyncio
import logging
from pathlib import Path
from typing import Annotated

import typer

from gcp_emulator.runtime.environments import Environments

IMAGES = Path(__file__).resolve().parents[1] / "images"


async def prepare(images: Path, env_cache: Path) -> None:
    """One after the other, as the installer uses all processors. Raises EnvironmentFailed."""
    environments = Environments(env_cache.absolute())
    for folder in sorted(path for path in images.iterdir() if (path / "Dockerfile").is_file()):
        requirements = folder / "requirements.txt"
        await environments.ensure(requirements if requirements.is_file() else None)
        print(f"{folder.name}: ready", flush=True)


def main(
    env_cache: Annotated[Path, typer.Option(help="Folder for the environments.")],
    images: Annotated[Path, typer.Option(help="Folder with one folder for each image.")] = IMAGES,
) -> None:
    """Make the Python environments of all image folders."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    asyncio.run(prepare(images, env_cache))


if __name__ == "__main__":
    typer.run(main)
