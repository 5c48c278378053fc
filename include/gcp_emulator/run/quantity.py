"""Kubernetes quantities as Cloud Run takes them: `512Mi`, `2Gi`, `1000m`, `2`."""

import re
from decimal import Decimal

from gcp_emulator.errors import InvalidArgument

PATTERN = re.compile(r"(\d+(?:\.\d+)?)(m|k|M|G|T|Ki|Mi|Gi|Ti)?")
FACTORS = {
    "m": Decimal("0.001"),
    "k": Decimal(10**3),
    "M": Decimal(10**6),
    "G": Decimal(10**9),
    "T": Decimal(10**12),
    "Ki": Decimal(2**10),
    "Mi": Decimal(2**20),
    "Gi": Decimal(2**30),
    "Ti": Decimal(2**40),
}


def amount(text: str, field: str) -> Decimal:
    """The plain number: bytes for memory, processors for CPU."""
    match = PATTERN.fullmatch(text)
    if not match:
        raise InvalidArgument.field(field, f"'{text}' is not a quantity such as 512Mi, 2Gi or 1000m")
    return Decimal(match[1]) * FACTORS.get(match[2], Decimal(1))
