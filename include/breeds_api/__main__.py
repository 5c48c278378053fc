"""`python -m breeds_api`: serves the sample (or --records FILE) until SIGTERM or Ctrl-C."""

import argparse
import json
import os
import signal
import sys
from pathlib import Path

from breeds_api.records import SAMPLE, Records
from breeds_api.server import BreedsServer


def main(arguments: list[str] | None = None) -> int:
    """Serves until stopped. Returns the exit code: 0 after a stop, 2 for options that make no sense."""
    parser = argparse.ArgumentParser(
        prog="python -m breeds_api", description="A small breeds API for one's own machine."
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 (the default) takes any free port")
    parser.add_argument(
        "--records", type=Path, default=SAMPLE, help="JSON array to serve instead of the sample"
    )
    parser.add_argument("--repeat", type=int, help="serve this many records, ids counted on")
    parser.add_argument(
        "--api-key-file", type=Path, help="require the x-api-key header to be the word in this file"
    )
    parser.add_argument("--fault", default="", help="misbehave in this way; see breeds_api/faults.py")
    parser.add_argument("--ready-file", type=Path, help="write {url, pid} here once serving")
    options = parser.parse_args(arguments)
    try:
        records = Records.load(options.records, options.repeat)
        key = _word(options.api_key_file) if options.api_key_file else ""
        server = BreedsServer(records, host=options.host, port=options.port, api_key=key, fault=options.fault)
    except (OSError, ValueError, LookupError, OverflowError) as error:
        print(f"breeds_api: {error}", file=sys.stderr)
        return 2
    stops = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, stops)  # before any thread starts, so that all inherit it
    with server:
        _announce(server.url, options.ready_file)
        signal.sigwait(stops)
    return 0


def _word(file: Path) -> str:
    if not (word := file.read_text().strip()):
        raise ValueError(f"--api-key-file: {file} is empty, so every request would be let in")
    return word


def _announce(url: str, ready_file: Path | None) -> None:
    if ready_file:
        part = ready_file.with_name(ready_file.name + ".part")
        part.write_text(json.dumps({"url": url, "pid": os.getpid()}))
        part.replace(ready_file)
    print(f"breeds_api ready: {url}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
