"""How Storage refuses: https://cloud.google.com/storage/docs/json_api/v1/status-codes."""

from gcp_emulator.json_api import Refusal


def invalid(message: str) -> Refusal:
    return Refusal(400, "invalid", message)


def required(what: str) -> Refusal:
    return Refusal(400, "required", f"Required parameter: {what}", what)


def unsupported(what: str) -> Refusal:
    """What Google can do and the emulator cannot: said rather than ignored."""
    return Refusal(501, "notImplemented", f"The emulator does not support {what}.")


def no_bucket() -> Refusal:
    return Refusal(404, "notFound", "The specified bucket does not exist.")


def no_object(bucket: str, name: str, generation: int | None = None) -> Refusal:
    which = f"{bucket}/{name}" + (f"#{generation}" if generation else "")
    return Refusal(404, "notFound", f"No such object: {which}")


def condition_failed() -> Refusal:
    message = "At least one of the pre-conditions you specified did not hold."
    return Refusal(412, "conditionNotMet", message, "If-Match")


def being_written(name: str) -> Refusal:
    """A job has the file open through a mount: neither the old nor the new object is whole."""
    return Refusal(503, "backendError", f"{name} is being written through a mount. Please try again.")
