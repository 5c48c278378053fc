"""`python -m batch_client`: see HELP."""

import argparse
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from batch_client.airflow import Airflow, Refused, Unreachable
from batch_client.schema import BadInput, Schema, check, read_value, types
from batch_client.watch import Watch

LOCAL_PASSWORDS = Path(__file__).resolve().parents[2] / ".state" / "up" / "passwords.json"
LOCAL = "http://127.0.0.1:8080"
SUBMIT_S = 120.0
FAILED, BAD_INPUT, NO_AIRFLOW, NOT_ALLOWED = 1, 2, 3, 4
HELP = """\
Submits a Batch job through Airflow: checks the params against the DAG's own schemas, starts the DAG, prints the job.

  bin/run-batch.sh                                                  the example job, counting primes
  bin/run-batch.sh --wait docker_image_uri=repo/report:3 'java_app_args=["--day", "2026-11-20"]'
  bin/run-batch.sh --wait --params job.json task_count=10 parallelism=5
  bin/run-batch.sh --show                                           all params, with defaults and meaning
"""
EPILOG = """\
where Airflow is and who asks:
  AIRFLOW_URL        its address (default: http://127.0.0.1:8080, where `make up` serves it)
  AIRFLOW_TOKEN      a token, or
  AIRFLOW_USER, AIRFLOW_PASSWORD
  With neither, and Airflow on this machine: the user admin of `make up`.

exit codes:
  0  submitted; with --wait: the job succeeded      3  Airflow does not answer, or answers with an error
  1  the job failed, or none was submitted          4  the user is not known, or may not start the DAG
  2  an unknown field, or a value that does not fit
"""


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="run-batch.sh",
        description=HELP,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "params", nargs="*", metavar="NAME=VALUE", help="a param: text, or JSON where it is no text"
    )
    parser.add_argument(
        "--params", dest="file", metavar="FILE", help="a JSON object of params; - for standard input"
    )
    parser.add_argument("--wait", action="store_true", help="follow state and log; exit as the job ends")
    parser.add_argument("--check", action="store_true", help="only check the params")
    parser.add_argument("--show", action="store_true", help="only list the params")
    parser.add_argument("--run-id", help="id of the DAG run; a second run of the same id is refused")
    parser.add_argument("--dag", default="batch_job", help="the DAG to start (default: batch_job)")
    parser.add_argument("--url", default=os.environ.get("AIRFLOW_URL", LOCAL), help="Airflow's address")
    parser.add_argument(
        "--user", default=os.environ.get("AIRFLOW_USER"), help="its password is AIRFLOW_PASSWORD"
    )
    return parser.parse_intermixed_args(argv)


def _given(arguments: argparse.Namespace, params: Mapping[str, Schema]) -> dict[str, Any]:
    """Params of the file, then those of the command line."""
    found: dict[str, Any] = {}
    if arguments.file:
        try:
            text = sys.stdin.read() if arguments.file == "-" else Path(arguments.file).read_text()
            found = json.loads(text)
        except (OSError, ValueError) as error:
            raise BadInput(f"--params {arguments.file}: {error}") from error
        if not isinstance(found, dict):
            raise BadInput(f"--params {arguments.file}: needs a JSON object")
    for pair in arguments.params:
        name, equals, text = pair.partition("=")
        if not equals:
            raise BadInput(f"{pair}: params are written NAME=VALUE")
        found[name] = read_value(name, text, params)
    return found


def _enter(arguments: argparse.Namespace) -> tuple[Airflow, str]:
    """Airflow for whoever asks, and that user's name."""
    airflow = Airflow(arguments.url, os.environ.get("AIRFLOW_TOKEN", ""))
    user, password = arguments.user, os.environ.get("AIRFLOW_PASSWORD", "")
    if not user and os.environ.get("AIRFLOW_TOKEN"):
        return airflow, "the token's user"
    local = arguments.url.startswith(("http://127.0.0.1", "http://localhost")) and LOCAL_PASSWORDS.exists()
    if local and not password:
        user = user or "admin"
        password = json.loads(LOCAL_PASSWORDS.read_text()).get(user, "")
    if not user or not password:
        raise Refused(401, "no user: set AIRFLOW_TOKEN, or AIRFLOW_USER and AIRFLOW_PASSWORD")
    airflow.login(user, password)
    return airflow, f"user {user}"


def _show(params: Mapping[str, Schema]) -> None:
    for name, schema in params.items():
        kind = " or ".join(types(schema))
        default = json.dumps(schema["default"], ensure_ascii=False)
        print(f"{name}  ({kind}, default {default})\n    {schema['description']}")


def _submit(airflow: Airflow, arguments: argparse.Namespace) -> int:
    params = airflow.params(arguments.dag)
    if arguments.show:
        _show(params)
        return 0
    given = _given(arguments, params)
    check(given, params)
    if arguments.check:
        print("the params are right")
        return 0
    run = airflow.start(arguments.dag, given, arguments.run_id)
    print(f"run: {run}\nairflow: {airflow.page(arguments.dag, run)}", flush=True)
    watch = Watch(airflow, arguments.dag, run)
    if arguments.wait:
        return 0 if watch.until_ended() else FAILED
    if watch.until_submitted(SUBMIT_S):
        return 0
    print("no job was submitted yet: look at the run's page", file=sys.stderr)
    return FAILED


def main(argv: list[str]) -> int:
    """Run the command; gives the exit code."""
    arguments, who = _arguments(argv), "you"
    try:
        airflow, who = _enter(arguments)
        return _submit(airflow, arguments)
    except BadInput as error:
        print(f"run-batch: {error}", file=sys.stderr)
        return BAD_INPUT
    except Unreachable as error:
        print(f"run-batch: {error}\nStart it with `make up`, or set AIRFLOW_URL.", file=sys.stderr)
        return NO_AIRFLOW
    except Refused as error:
        return _explain(error, who, arguments)


def _explain(error: Refused, who: str, arguments: argparse.Namespace) -> int:
    """Say what a refusal means and what to do; gives the exit code."""
    dag, code, said = arguments.dag, NO_AIRFLOW, str(error)
    if error.status == 401 or error.about_token:
        code, said = NOT_ALLOWED, f"Airflow does not know {who}: {error}"
    elif error.status == 403:
        code = NOT_ALLOWED
        said = (
            f"{who} may not start the DAG {dag}: a role is needed that may create its runs "
            f"(user, op or admin, not viewer). {error}"
        )
    elif error.status == 400:
        code = BAD_INPUT
    elif error.status == 404:
        said = f"{error}. Is there a DAG {dag}, and has Airflow read it already?"
    elif error.status == 409 and arguments.run_id:
        code = FAILED
        said = f"the DAG {dag} has a run {arguments.run_id} already: give another --run-id, or none"
    print(f"run-batch: {said}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
