"""Requirements of an image become an environment, once."""

import asyncio
import base64
import hashlib
import logging
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from gcp_emulator.runtime import environments
from gcp_emulator.runtime.environments import Environments
from gcp_emulator.runtime.errors import EnvironmentFailed
from gcp_emulator.runtime.model import End

INCLUDE = Path(__file__).parents[3] / "include"
ENSURE = """
import asyncio, logging, sys
from pathlib import Path
from gcp_emulator.runtime.environments import Environments
logging.basicConfig(level="INFO", stream=sys.stdout)
print(asyncio.run(Environments(Path(sys.argv[1])).ensure(Path(sys.argv[2]))))
"""


def wheel(folder, value="1"):
    """A package without dependencies, installed from a file: tests ask no index."""
    path = folder / "tinypkg-1.0-py3-none-any.whl"
    files = {
        "tinypkg.py": f"VALUE = {value!r}\n",
        "tinypkg-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: tinypkg\nVersion: 1.0\n",
        "tinypkg-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = ""
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
            record += f"{name},sha256={digest},{len(text)}\n"
        archive.writestr("tinypkg-1.0.dist-info/RECORD", record + "tinypkg-1.0.dist-info/RECORD,,\n")
    return path


@pytest.fixture
def requirements(tmp_path):
    path = tmp_path / "image" / "requirements.txt"
    path.parent.mkdir()
    path.write_text(f"tinypkg @ {wheel(tmp_path).as_uri()}\n")
    return path


def ensure(cache, path):
    async def run():
        found = Environments(cache)
        try:
            return await found.ensure(path)
        finally:
            await found.close()

    return asyncio.run(run())


def test_an_image_imports_what_its_requirements_name_and_nothing_of_ours(world, tmp_path):
    """A container that sees the emulator's packages would work here and fail on Google."""
    world.env_cache = tmp_path / "cache"
    code = "import tinypkg\nprint(tinypkg.VALUE)\ntry:\n  import psutil\nexcept ImportError: print('alone')"
    world.image("code", main_py=code, requirements_txt=f"tinypkg @ {wheel(tmp_path).as_uri()}\n")
    assert world.run(world.task("code")).lines == ["1", "alone"]


def test_the_same_requirements_are_installed_once(requirements, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    first = ensure(tmp_path / "cache", requirements)
    assert ensure(tmp_path / "cache", requirements) == first
    assert caplog.text.count("ready after") == 1


def test_other_requirements_are_another_environment(requirements, tmp_path):
    first = ensure(tmp_path / "cache", requirements)
    requirements.with_name("more.txt").touch()
    requirements.write_text(f"{requirements.read_text()}-r more.txt\n")
    second = ensure(tmp_path / "cache", requirements)
    requirements.with_name("more.txt").write_text("# a file that is included changes it too\n")
    assert (
        len({first, second, ensure(tmp_path / "cache", requirements), ensure(tmp_path / "cache", None)}) == 4
    )


def test_two_processes_that_want_it_at_once_build_it_once(requirements, tmp_path):
    command = [sys.executable, "-c", ENSURE, str(tmp_path / "cache"), str(requirements)]
    both = [
        subprocess.Popen(
            command, env={**os.environ, "PYTHONPATH": str(INCLUDE)}, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    outputs = [process.communicate(timeout=60)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert len({output.splitlines()[-1] for output in outputs}) == 1
    assert "".join(outputs).count("ready after") == 1


def test_a_build_that_was_cut_off_is_made_anew(requirements, tmp_path):
    folder = ensure(tmp_path / "cache", requirements)
    (folder / ".ready").unlink()
    (folder / "bin" / "python").unlink()
    assert (ensure(tmp_path / "cache", requirements) / "bin" / "python").exists()


def test_a_failed_installation_shows_the_installers_last_lines(world, tmp_path):
    world.image(
        "code",
        main_py="",
        requirements_txt=f"tinypkg @ {(tmp_path / 'gone-1.0-py3-none-any.whl').as_uri()}\n",
    )
    world.env_cache = tmp_path / "cache"
    result = world.run(world.task("code")).result
    assert result.end is End.NOT_STARTED
    assert "code/requirements.txt cannot be installed" in result.message
    assert "gone-1.0-py3-none-any.whl" in result.message


def test_progress_is_told_while_it_builds(requirements, tmp_path, caplog, monkeypatch):
    """Without it, a first run looks stuck."""
    monkeypatch.setattr(environments, "PROGRESS_S", 0.001)
    caplog.set_level(logging.INFO)
    ensure(tmp_path / "cache", requirements)
    assert "image/requirements.txt: installing" in caplog.text


def test_who_gives_up_waiting_does_not_stop_the_others(requirements, tmp_path):
    async def run():
        found = Environments(tmp_path / "cache")
        first, second = (asyncio.create_task(found.ensure(requirements)) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        return await second

    assert (asyncio.run(run()) / ".ready").exists()


def test_without_uv_the_error_says_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EnvironmentFailed, match="pip install uv"):
        environments.find_uv()
