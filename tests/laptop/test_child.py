import os
from pathlib import Path

import psutil
import pytest

from laptop.child import Child, ChildFailed
from laptop.progress import Progress


def _module(folder: Path, text: str) -> dict[str, str]:
    (folder / "child_under_test.py").write_text(text)
    return os.environ | {"PYTHONPATH": str(folder)}


def test_a_process_that_dies_shows_its_last_lines(tmp_path: Path) -> None:
    env = _module(tmp_path, "import sys; print('the disk is full'); sys.exit(3)")
    with Child("c", ["child_under_test"], env, tmp_path, tmp_path) as child:
        with pytest.raises(ChildFailed, match=r"exit code 3(.|\n)*the disk is full"):
            child.finish(Progress(), "working")
        with pytest.raises(ChildFailed, match="the disk is full"):
            child.ready(tmp_path / "never", Progress())


def test_ready_returns_what_the_process_wrote_and_leaving_stops_it(tmp_path: Path) -> None:
    ready = tmp_path / "ready.json"
    text = (
        f"import pathlib, signal; pathlib.Path({str(ready)!r}).write_text('{{\"port\": 1}}'); signal.pause()"
    )
    with Child("c", ["child_under_test"], _module(tmp_path, text), tmp_path, tmp_path) as child:
        assert child.ready(ready, Progress()) == {"port": 1}
        pid = child.process.pid
    assert not psutil.pid_exists(pid)


def test_a_wait_that_takes_too_long_names_what_it_waited_for() -> None:
    with pytest.raises(TimeoutError, match="the moon to rise"):
        Progress().wait(lambda: False, "the moon to rise", timeout_s=0)
