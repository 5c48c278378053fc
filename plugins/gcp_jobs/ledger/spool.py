"""The second outbox: what waits in a task's state store lies here too, where other tasks of the machine see it.

Airflow shows a task's state store to that task alone, and one that is over writes no more. A file a task; whoever
reaches the ledger next writes it and removes it, DAG reconcile at the latest. To write a record twice does no harm.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gcp_jobs.ledger.pending import Writer, dump, read
from gcp_jobs.ledger.record import Record

AT_ONCE = 20


@dataclass(frozen=True, slots=True)
class Spool:
    """A folder of records that wait. What the file system refuses is not kept: a job must not fail for its record."""

    folder: Path

    def keep(self, task: Iterable[object], records: Iterable[Record]) -> None:
        """Let these wait for a task, and no others of it."""
        file, batch = self._file(task), dump(records)
        with suppress(OSError):
            if not batch:
                return file.unlink(missing_ok=True)
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            partial = file.with_suffix(f".{os.getpid()}")
            partial.touch(mode=0o600)
            partial.write_text(json.dumps(batch))
            partial.replace(file)

    def drain(self, ledger: Writer, most: int = AT_ONCE) -> int:
        """Write what waits, oldest first, and remove it; gives how many tasks' records that were.

        :raises LedgerUnavailable: the rest goes on waiting
        """
        done = 0
        for file in self._files()[:most]:
            with suppress(OSError):
                text = file.read_text()
                ledger.write(_read(text))
                if file.read_text() == text:  # its task may have written more meanwhile
                    file.unlink()
                done += 1
        return done

    def _files(self) -> list[Path]:
        found: list[tuple[float, Path]] = []
        for file in self.folder.glob("*.json"):
            with suppress(OSError):
                found.append((file.stat().st_mtime, file))
        return [file for _, file in sorted(found)]

    def _file(self, task: Iterable[object]) -> Path:
        name = hashlib.sha256("\n".join(map(str, task)).encode()).hexdigest()[:32]
        return self.folder / f"{name}.json"


def _read(text: str) -> Iterator[Record]:
    with suppress(ValueError):
        yield from read(json.loads(text))
