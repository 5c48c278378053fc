"""`python -m laptop COMMAND`: the commands behind the Makefile."""

import signal
import sys
from types import FrameType

import typer

app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False)


@app.command()
def run() -> None:
    """The dog breeds ingestion, end to end."""
    from laptop.run import main

    main()


@app.command()
def up() -> None:
    """Emulator, sample API and Airflow with its UI, until Ctrl-C."""
    from laptop.up import main

    main()


@app.command("compose-test")
def compose_test() -> None:
    """The stack of docker-compose.yaml: built, run, taken down."""
    from laptop.compose import main

    main()


def _terminated(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _terminated)
    app()
