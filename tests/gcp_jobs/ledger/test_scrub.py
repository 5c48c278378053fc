"""No secret's value is recorded; which secret it was stays readable."""

import json
import string
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from gcp_jobs.ledger.scrub import HIDDEN, LONGEST, Scrubber
from gcp_jobs.model import JobSpec

VALUES = st.text(string.ascii_letters + string.digits + "$/+=!", min_size=8, max_size=24).map("Q7{}".format)
NAMES = st.sampled_from(["API_KEY", "DB_PASSWORD", "my_token", "CLIENT_SECRET"])


def redact(text: str, name: str | None) -> str:
    """As Airflow's: by name, and whatever it was told of."""
    hides = name and any(word in name.lower() for word in ("api_key", "password", "token", "secret"))
    return HIDDEN if hides else text.replace("told-to-airflow", HIDDEN)


def spec(**changes: Any) -> dict[str, Any]:
    whole = {
        "name": "job", "project": "p", "region": "europe-west1", "environment": "local", "image": "i:1", **changes,
    }  # fmt: skip
    return JobSpec.model_validate(whole).model_dump(mode="json")


@given(VALUES, NAMES, st.lists(VALUES, max_size=3))
def test_no_secret_value_reaches_the_ledger(value: str, name: str, harmless: list[str]) -> None:
    around = json.dumps([spec(), harmless, "europe-west1 job --key= postgres user host"])
    assume(value not in around and value not in HIDDEN)
    job = spec(
        env={name: value, "MODE": "fast"}, args=[f"--key={value}", *harmless], secrets={"MY_SECRET": "ref:3"}
    )
    overrides = {
        "container_overrides": [{"env": [{"name": name, "value": value}], "args": [value]}],
        "environment": {"variables": {"service_account": "x", name: value}},
        "labels": {"tokens": {"deep": [value]}},
    }
    scrubber = Scrubber(redact)
    scrubber.learn(job)
    scrubber.learn(overrides)
    kept = [
        scrubber.clean(job),
        scrubber.clean(overrides),
        scrubber.text(f"the job said {value}, told-to-airflow"),
    ]
    text = json.dumps(kept)
    assert value not in text
    assert json.dumps(value)[1:-1] not in text
    assert "told-to-airflow" not in text
    assert kept[0]["secrets"] == {"MY_SECRET": "ref:3"}
    assert kept[0]["env"]["MODE"] == "fast"


def test_a_job_without_secrets_is_kept_as_it_is() -> None:
    job = spec(
        env={"A": "1"}, service_account="job@p.iam.gserviceaccount.com", secret_files={"/k/key": "k:latest"}
    )
    scrubber = Scrubber(redact)
    scrubber.learn(job)
    assert scrubber.clean(job) == job


def test_a_login_in_a_url_and_what_postgresql_cannot_take_are_cut_out() -> None:
    scrubber = Scrubber(redact)
    assert scrubber.text("at postgresql://ann:pw@host/db\x00") == f"at postgresql://ann:{HIDDEN}@host/db"
    assert scrubber.text("\ud800") == "?"
    assert len(scrubber.text("x" * 10 * LONGEST)) <= LONGEST + 5
