"""How busy the machine is with something else: what chaos waits for takes longer there."""

import os

BUSY, MOST = 4.0, 4.0


def stretched() -> float:
    """By how much all takes longer: 1 on a machine with less than four processes a core that want to run, at most 4."""
    return min(MOST, max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1) / BUSY))
