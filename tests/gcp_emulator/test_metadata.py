"""A container's credentials come from here, through Google's own library, unchanged."""

import asyncio
import base64
import json
import os
import subprocess
import sys

import httpx
import pytest

from gcp_emulator.metadata import Identity, MetadataServers, application

ACCOUNT = "ingestion@my-project.iam.gserviceaccount.com"
FLAVOR = {"Metadata-Flavor": "Google"}
ADC = """
import google.auth, google.auth.transport.requests, google.oauth2.id_token, json
request = google.auth.transport.requests.Request()
credentials, project = google.auth.default(scopes=["https://www.googleapis.com/auth/cloud-platform"])
credentials.refresh(request)
token = google.oauth2.id_token.fetch_id_token(request, "https://service")
kind = f"{type(credentials).__module__}.{type(credentials).__name__}"
print(json.dumps([kind, project, credentials.service_account_email, credentials.token, credentials.valid, token]))
"""


def get(path, headers=FLAVOR, account=ACCOUNT):
    async def run():
        app = application(Identity(account, "my-project", "42", "europe-west1"))
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://metadata"
        ) as client:
            return await client.get(path, headers=headers)

    return asyncio.run(run())


def claims(token):
    payload = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


def test_application_default_credentials_are_those_of_cloud_run():
    async def run():
        servers = MetadataServers()
        address = await servers.address(ACCOUNT, "my-project")
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", ADC),
            env={
                "PATH": os.defpath,
                "GCE_METADATA_HOST": address,
                "GCE_METADATA_IP": address,
                "HOME": "/nowhere",
            },
            stdout=subprocess.PIPE,
        )
        output, _ = await process.communicate()
        await servers.close()
        return json.loads(output)

    kind, project, email, token, valid, identity = asyncio.run(run())
    assert kind == "google.auth.compute_engine.credentials.Credentials"
    assert (project, email, token, valid) == ("my-project", ACCOUNT, ACCOUNT, True)
    assert claims(identity)["aud"] == "https://service"
    assert claims(identity)["email"] == ACCOUNT


def test_each_identity_has_a_listener_of_its_own_which_ends_with_the_emulator():
    """Shared, one job would get another's credentials."""

    async def run():
        servers = MetadataServers()
        pairs = [("a@p", "p"), ("b@p", "p"), ("a@p", "q"), ("a@p", "p")]
        addresses = await asyncio.gather(*(servers.address(*pair) for pair in pairs))
        said = []
        async with httpx.AsyncClient(headers=FLAVOR) as client:
            for address in addresses:
                root = f"http://{address}/computeMetadata/v1"
                email = await client.get(f"{root}/instance/service-accounts/default/email")
                said.append((email.text, (await client.get(f"{root}/project/project-id")).text))
        await servers.close()
        async with httpx.AsyncClient() as client:
            with pytest.raises(httpx.ConnectError):
                await client.get(f"http://{addresses[0]}/")
        return pairs, addresses, said

    pairs, addresses, said = asyncio.run(run())
    assert said == pairs
    assert len(set(addresses)) == 3
    assert all(address.startswith("127.0.0.1:") for address in addresses)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("project/project-id", "my-project"),
        ("project/numeric-project-id", "42"),
        ("instance/region", "projects/42/regions/europe-west1"),
        ("instance/zone", "projects/42/zones/europe-west1-1"),
        ("instance/service-accounts/", f"default/\n{ACCOUNT}/\n"),
        ("instance/service-accounts/default/email", ACCOUNT),
        ("instance/service-accounts/default/aliases", "default\n"),
        (f"instance/service-accounts/{ACCOUNT}/scopes", "https://www.googleapis.com/auth/cloud-platform\n"),
        ("universe/universe-domain", "googleapis.com"),
    ],
)
def test_what_there_is(path, text):
    answer = get(f"/computeMetadata/v1/{path}")
    assert (answer.status_code, answer.text) == (200, text)
    assert answer.headers["Metadata-Flavor"] == "Google"


def test_a_recursive_answer_is_json_with_the_names_of_json():
    answer = get("/computeMetadata/v1/?recursive=true").json()
    assert answer["project"] == {"projectId": "my-project", "numericProjectId": 42}
    assert answer["instance"]["serviceAccounts"][ACCOUNT]["email"] == ACCOUNT
    assert get("/computeMetadata/v1/instance/service-accounts/default/?recursive=true").json() == {
        "aliases": ["default"],
        "email": ACCOUNT,
        "scopes": ["https://www.googleapis.com/auth/cloud-platform"],
    }


def test_a_request_without_the_header_is_refused_but_the_ping_is_not():
    """The header is what keeps a browser or a redirect from fetching a token."""
    refused = get("/computeMetadata/v1/instance/service-accounts/default/token", headers={})
    assert (refused.status_code, "access_token" in refused.text) == (403, False)
    assert get("/", headers={}).headers["Metadata-Flavor"] == "Google"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("instance/service-accounts/default/identity", 400),
        ("instance/service-accounts/other@p/token", 404),
        ("instance/service-accounts/default/nothing", 404),
        ("instance/nothing", 404),
        ("project/project-id/deeper", 404),
    ],
)
def test_what_there_is_not(path, status):
    assert get(f"/computeMetadata/v1/{path}").status_code == status


def test_a_task_without_a_service_account_is_the_projects_default_one():
    answer = get("/computeMetadata/v1/instance/service-accounts/default/email", account="")
    assert answer.text == "42-compute@developer.gserviceaccount.com"
