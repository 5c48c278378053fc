"""Amounts as people write them (2Gi, 500m, 30m) and as the APIs want them. Pure."""

import re

_MEMORY = re.compile(r"(\d+)(Ki|Mi|Gi|Ti)")
_DURATION = re.compile(r"(\d+)(s|m|h)?")
_KIB = {"Ki": 1, "Mi": 1024, "Gi": 1024**2, "Ti": 1024**3}
_SECONDS = {None: 1, "s": 1, "m": 60, "h": 3600}


def memory(value: object) -> str:
    """Give the canonical form of a memory size: whole binary units, the largest that fits (1024Mi is 1Gi).

    Raises ValueError for anything but a positive whole number with Ki, Mi, Gi or Ti (Kubernetes' quantities).
    """
    match = _MEMORY.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None or int(match[1]) == 0:
        raise ValueError(f"memory is written like 512Mi or 2Gi, not {value!r}")
    kib = int(match[1]) * _KIB[match[2]]
    unit = max((u for u in _KIB if kib % _KIB[u] == 0), key=_KIB.__getitem__)
    return f"{kib // _KIB[unit]}{unit}"


def memory_bytes(value: str) -> int:
    """Bytes of a canonical memory size."""
    match = _MEMORY.fullmatch(value)
    if match is None:
        raise ValueError(f"memory is written like 512Mi or 2Gi, not {value!r}")
    return int(match[1]) * _KIB[match[2]] * 1024


def cpu(value: object) -> str:
    """Give the canonical form of a CPU count: whole ("2") or milli ("500m") vCPUs.

    Raises ValueError for anything but a positive number of at most three decimals, or milli-CPUs.
    """
    text = str(value).strip() if isinstance(value, int | float | str) and not isinstance(value, bool) else ""
    if re.fullmatch(r"\d+m", text):
        milli = int(text[:-1])
    elif re.fullmatch(r"\d+(\.\d{1,3})?", text):
        milli = round(float(text) * 1000)
    else:
        milli = 0
    if milli == 0:
        raise ValueError(f"cpu is written like 1, 0.5 or 500m, not {value!r}")
    return f"{milli}m" if milli % 1000 else str(milli // 1000)


def seconds(value: object) -> int:
    """Give whole seconds for 90, "90", "90s", "30m" or "2h"; raises ValueError for anything else and for zero."""
    text = str(value).strip() if isinstance(value, int | str) and not isinstance(value, bool) else ""
    match = _DURATION.fullmatch(text)
    if match is None or int(match[1]) == 0:
        raise ValueError(f"a duration is written like 1800, 1800s, 30m or 2h, not {value!r}")
    return int(match[1]) * _SECONDS[match[2]]
