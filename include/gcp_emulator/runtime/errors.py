"""Why a task cannot start.

RuntimeFailure
├── ImageNotFound        no folder of the images folder has this name
├── ImageInvalid         there is a folder, but its Dockerfile cannot be followed
├── EnvironmentFailed    its requirements cannot be installed
└── TaskInvalid          its containers or volumes contradict each other
"""


class RuntimeFailure(Exception):
    """The base: `str()` is one message for the user, with what to do next."""


class ImageNotFound(RuntimeFailure):
    """The image's URI names no folder; `how_to_add` says where to put one."""

    def __init__(self, image: str, how_to_add: str) -> None:
        super().__init__(f"Image '{image}' not found: {how_to_add}")
        self.image = image
        self.how_to_add = how_to_add


class ImageInvalid(RuntimeFailure):
    """The image's folder is there, but its Dockerfile cannot be run; `reason` says where and why."""

    def __init__(self, image: str, reason: str) -> None:
        super().__init__(f"Image '{image}' cannot be run: {reason}")
        self.image = image
        self.reason = reason


class EnvironmentFailed(RuntimeFailure):
    """The installer failed; `output` holds its last lines."""

    def __init__(self, requirements: str, output: str) -> None:
        super().__init__(f"The requirements of {requirements} cannot be installed:\n{output}")
        self.requirements = requirements
        self.output = output


class TaskInvalid(RuntimeFailure):
    """A name that nothing has, or dependencies in a circle."""
