"""What buckets and objects may be called: https://cloud.google.com/storage/docs/buckets#naming, .../objects#naming."""

import ipaddress
import re

from gcp_emulator.storage.refusals import invalid, required

BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")
COMPONENT = 63  # characters between dots
OBJECT_BYTES = 1024
LAST = "\U0010ffff"


def is_bucket(name: str) -> bool:
    if not BUCKET.fullmatch(name) or name.startswith("goog") or "google" in name.replace("0", "o"):
        return False
    parts = name.split(".")
    if any(not part or len(part) > COMPONENT for part in parts) or (
        len(parts) == 1 and len(name) > COMPONENT
    ):
        return False
    try:
        ipaddress.IPv4Address(name)
    except ValueError:
        return True
    return False


def check_bucket(name: str) -> str:
    if not name:
        raise required("name")
    if not is_bucket(name):
        raise invalid(f"Invalid bucket name: '{name}'")
    return name


def check_object(name: str) -> str:
    """Refusal for what Google forbids: empty, too long, `.`, `..`, line ends, ACME's folder, no UTF-8."""
    if not name:
        raise required("name")
    try:
        size = len(name.encode())
    except UnicodeEncodeError as error:
        raise invalid("Invalid argument.") from error
    if size > OBJECT_BYTES:
        raise invalid(
            f"The maximum object length is {OBJECT_BYTES} characters, but got a name with {size} characters"
        )
    if name in (".", "..") or "\n" in name or "\r" in name or name.startswith(".well-known/acme-challenge/"):
        raise invalid(f"Disallowed unicode characters present in object name '{name}'")
    return name


def beyond(prefix: str) -> str | None:
    """The first name after all that begin with the prefix; None when there is no end."""
    kept = prefix.rstrip(LAST)
    if not kept:
        return None
    following = ord(kept[-1]) + 1
    return kept[:-1] + chr(0xE000 if following == 0xD800 else following)
