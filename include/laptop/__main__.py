"""`python -m laptop COMMAND`: the commands behind the Makefile."""

import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from laptop.place import STATE

app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False)
State = Annotated[Path, typer.Option(help="the folder that holds all that the command leaves")]


@app.command()
def run(state: State = STATE) -> None:
    """The dog breeds ingestion, end to end."""
    from laptop.run import main

    main(state)


@app.command()
def up(state: State = STATE) -> None:
    """Emulator, sample API and Airflow with its UI, until Ctrl-C."""
    from laptop.up import main

    main(state)


@app.command("compose-test")
def compose_test(state: State = STATE) -> None:
    """The stack of docker-compose.yaml: built, run, taken down."""
    from laptop.compose import main

    main(state)


def _terminated(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _terminated)
    app()
