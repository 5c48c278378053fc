"""Images that cannot be run, as the API reports them."""

from typing import Any

from gcp_emulator.errors import ApiError, FailedPrecondition, NotFound
from gcp_emulator.runtime import ImageNotFound, Runtime, RuntimeFailure


def image_error(error: RuntimeFailure) -> ApiError:
    """Google's words for a missing image and what to do about it here."""
    if isinstance(error, ImageNotFound):
        return NotFound(f"Image '{error.image}' not found. In the emulator: {error.how_to_add}")
    return FailedPrecondition(str(error))


async def first_image_error(runtime: Runtime, task: Any) -> ApiError | None:
    """What is wrong with the images of a TaskTemplate, if anything."""
    for container in task.containers:
        try:
            await runtime.resolve(container.image)
        except RuntimeFailure as error:
            return image_error(error)
    return None
