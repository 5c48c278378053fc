"""`python -m laptop COMMAND`: the commands behind the Makefile."""

import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from laptop.environment import past_proxies
from laptop.place import INGESTION, STATE

app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False)
State = Annotated[Path, typer.Option(help="the folder that holds all that the command leaves")]


@app.command()
def run(state: State = STATE, dag: Annotated[str, typer.Option(help="the DAG to run")] = INGESTION) -> None:
    """One DAG, by default the dog breeds ingestion, end to end."""
    from laptop.run import main

    main(state, dag)


@app.command()
def up(state: State = STATE) -> None:
    """Emulator, sample API and Airflow with its UI, until Ctrl-C."""
    from laptop.up import main

    main(state)


@app.command("quality-check")
def quality_check(state: State = STATE) -> None:
    """Ingestion and tables on a real answer of the API ($BREEDS_JSON), counted and checked."""
    from laptop.quality import main

    main(state)


@app.command("compose-test")
def compose_test(state: State = STATE) -> None:
    """The stack of docker-compose.yaml: built, run, taken down."""
    from laptop.compose import main

    main(state)


def _terminated(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)


if __name__ == "__main__":
    past_proxies()
    signal.signal(signal.SIGTERM, _terminated)
    app()
