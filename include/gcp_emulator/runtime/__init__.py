"""Runs the containers of one task: image folders as local processes, with limits that are enforced."""

from gcp_emulator.runtime.errors import ImageInvalid, ImageNotFound, RuntimeFailure
from gcp_emulator.runtime.image import Image
from gcp_emulator.runtime.local import Runtime
from gcp_emulator.runtime.sandbox import Isolation

__all__ = ["Image", "ImageInvalid", "ImageNotFound", "Isolation", "Runtime", "RuntimeFailure"]
