"""Startup probes: asks a container's port until it answers."""

import asyncio
import contextlib

from gcp_emulator.runtime.model import Probe


async def passes(probe: Probe) -> bool:
    """Waits until the probe succeeds (True) or has failed `failure_threshold` times in a row (False)."""
    await asyncio.sleep(probe.initial_delay_s)
    for attempt in range(probe.failure_threshold):
        if attempt:
            await asyncio.sleep(probe.period_s)
        try:
            if await asyncio.wait_for(_ask(probe), probe.timeout_s):
                return True
        except (OSError, TimeoutError):
            continue
    return False


async def _ask(probe: Probe) -> bool:
    reader, writer = await asyncio.open_connection("127.0.0.1", probe.port)
    try:
        if probe.path is None:
            return True
        writer.write(f"GET {probe.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
        words = (await reader.readline()).split()
        return len(words) > 1 and words[1].isdigit() and 200 <= int(words[1]) < 400
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
