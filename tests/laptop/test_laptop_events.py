"""What `make up` deploys for events: a finished upload and a message arrive where the shipped rules listen."""

import json
from pathlib import Path
from urllib.request import Request, urlopen

import grpc
from google.pubsub_v1 import SubscriberClient
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

from gcp_emulator import process
from gcp_jobs.event_rules.event import Event
from gcp_jobs.event_rules.folder import rules
from gcp_jobs.event_rules.judge import Judge
from gcp_jobs.settings import Settings
from laptop import environment, events


def test_an_upload_meets_the_rule_that_ships_and_what_is_there_stays(tmp_path: Path) -> None:
    with process.start(images=tmp_path, env_cache=tmp_path, log=tmp_path / "log") as ready:
        for _ in range(2):
            events.keep(ready["grpc"], ready["rest"])
        upload = (
            f"{ready['rest']}/upload/storage/v1/b/{events.INCOMING}/o?uploadType=media&name=incoming/a.csv"
        )
        headers = {"Authorization": f"Bearer {environment.account('job')}", "Content-Type": "text/csv"}
        with urlopen(Request(upload, b"breed,weight\n", headers)) as answer:
            generation = json.load(answer)["generation"]
        name = f"projects/{environment.PROJECT}/subscriptions/{events.EVENTS}"
        with grpc.insecure_channel(ready["grpc"]) as channel:
            api = SubscriberClient(transport=SubscriberGrpcTransport(channel=channel))
            (received,) = api.pull(subscription=name, max_messages=10).received_messages
    message = received.message
    event = Event(name, message.message_id, dict(message.attributes), message.data)
    start = Judge(rules(Settings())).start(event)
    assert start.rule == "uploaded-counts"
    assert start.args == ("count", "--upto", "13")
    assert start.env == {"INPUT": "gs://gcp-jobs-incoming/incoming/a.csv", "INPUT_GENERATION": generation}
