"""`python -m breeds_api`, as the laptop commands and benchmarks start it."""

import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from breeds_api.__main__ import main
from breeds_api.process import served


def test_it_serves_from_a_process_of_its_own_until_told_to_stop(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("-k")  # made-up keys begin with a dash now and then
    with served("--repeat", "90", "--api-key-file", str(key)) as url:
        answer = httpx.get(f"{url}/breeds", headers={"x-api-key": "-k"})
        assert len(answer.json()) == 90
        assert httpx.get(f"{url}/breeds").status_code == 401
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/breeds")


def test_it_says_where_it_is_and_ends_well(tmp_path: Path) -> None:
    program = Path(main.__code__.co_filename)
    process = subprocess.Popen(
        [sys.executable, str(program)],
        env={"PYTHONPATH": str(program.parents[1])},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("breeds_api ready: http://127.0.0.1:")
        assert httpx.get(line.split(": ", 1)[1].strip() + "/breeds?limit=2").status_code == 200
        process.terminate()
        assert process.wait(timeout=10) == 0
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    "arguments",
    [
        ["--records", "/no/such/file"],
        ["--fault", "gremlins"],
        ["--port", "99999"],
        ["--api-key-file", "/no/such/file"],
        ["--api-key-file", os.devnull],
    ],
)
def test_options_without_sense_end_it_with_a_line(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert capsys.readouterr().err.startswith("breeds_api: ")
