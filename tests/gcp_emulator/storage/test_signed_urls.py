"""Signed URLs, made by Google's client with a key of the test's own, and the XML API behind them."""

import re
from datetime import timedelta

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from google.oauth2.service_account import Credentials

SIGNER = "signer@project.iam.gserviceaccount.com"


@pytest.fixture(scope="module")
def signer():
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    about = {"type": "service_account", "client_email": SIGNER, "private_key": text}
    return Credentials.from_service_account_info({**about, "token_uri": "http://127.0.0.1:1/none"})


@pytest.fixture
def sign(bucket, signer):
    def sign(name="in/ü x.txt", version="v4", minutes=5, **given):
        blob = bucket.blob(name)
        return blob.generate_signed_url(
            version=version, expiration=timedelta(minutes=minutes), credentials=signer, **given
        )

    return sign


@pytest.fixture
def http():
    with httpx.Client(trust_env=False) as http:
        yield http


@pytest.mark.parametrize("version", ["v4", "v2"])
def test_whoever_has_the_url_uploads_reads_and_deletes_that_object(sign, http, bucket, cloud, version):
    typed = {"content-type": "text/plain", "x-goog-meta-k": "v"}
    put = sign(version=version, method="PUT", content_type="text/plain", headers={"x-goog-meta-k": "v"})
    assert http.put(put, content=b"hello", headers=typed).status_code == 200
    assert bucket.get_blob("in/ü x.txt").metadata == {"k": "v"}
    got = http.get(sign(version=version))
    assert (got.text, got.headers["content-type"], got.headers["x-goog-meta-k"]) == (
        "hello",
        "text/plain",
        "v",
    )
    assert http.get(sign(version=version), headers={"range": "bytes=1-2"}).text == "el"
    assert http.head(sign(version=version, method="HEAD")).headers["content-length"] == "5"
    with cloud.http() as emulator:
        calls = emulator.get("/emulator/calls").json()["calls"]
    assert any(call["method"] == "storage.objects.insert" and call["caller"] == SIGNER for call in calls)
    assert http.delete(sign(version=version, method="DELETE")).status_code == 204
    gone = http.get(sign(version=version))
    assert (gone.status_code, "<Code>NoSuchKey</Code>" in gone.text) == (404, True)


def test_an_upload_in_parts_is_begun_by_a_signed_url(sign, http, bucket):
    start = {"x-goog-resumable": "start"}
    begun = http.post(sign(method="RESUMABLE", headers=start), headers=start)
    assert begun.status_code == 201
    assert http.put(begun.headers["location"], content=b"hello").status_code == 200
    assert bucket.blob("in/ü x.txt").download_as_bytes() == b"hello"


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        (("X-Goog-Expires=300", "X-Goog-Expires=604801"), 400, "AuthenticationRequired"),
        (("GOOG4-RSA-SHA256", "NONE"), 400, "AuthenticationRequired"),
        (("X-Goog-Date=2", "X-Goog-Date=x"), 400, "AuthenticationRequired"),
        (("X-Goog-Date", "X-Goog-Other"), 400, "AuthenticationRequired"),
        (("X-Goog-Signature=", "X-Goog-Signature=xy"), 403, "SignatureDoesNotMatch"),
        (("SignedHeaders=host", "SignedHeaders=host%3Bx-goog-none"), 400, "MalformedSecurityHeader"),
    ],
)
def test_a_malformed_signature_is_refused(sign, http, bucket, change, status, code):
    bucket.blob("in/ü x.txt").upload_from_string("x")
    answer = http.get(sign().replace(*change))
    assert (answer.status_code, f"<Code>{code}</Code>" in answer.text) == (status, True), answer.text


def test_an_expired_url_is_refused(sign, http, bucket):
    bucket.blob("in/ü x.txt").upload_from_string("x")
    old = "20200101T000000Z"
    url = sign()
    day = url.partition("X-Goog-Date=")[2][:8]
    answers = [http.get(url.replace(day, old[:8])), http.get(sign(version="v2", minutes=-5))]
    for answer in answers:
        assert (answer.status_code, "<Code>ExpiredToken</Code>" in answer.text) == (400, True)


def test_public_links_and_conditions(bucket, cloud):
    blob = bucket.blob("a/b")
    blob.upload_from_string("hello")
    with cloud.http() as http:
        path = f"/{bucket.name}/a/b"
        assert http.get(path).text == "hello"
        listed = http.get(f"/{bucket.name}?prefix=a/&delimiter=/")
        assert ("<Key>a/b</Key>" in listed.text, "<IsTruncated>false" in listed.text) == (True, True)
        for verb in ("PUT", "DELETE", "GET"):
            refused = http.request(verb, path, headers={"x-goog-if-generation-match": "7"})
            assert (refused.status_code, "<Code>PreconditionFailed</Code>" in refused.text) == (412, True)
        assert http.get("/no-such-bucket-here/a").json()["error"]["status"] == "NOT_FOUND"
        assert http.post(path).status_code == 501
        assert http.patch(path).status_code == 405


def test_a_list_goes_on_after_its_marker_or_by_its_token(bucket, cloud):
    for name in ("a/1", "a/2", "b", "c"):
        bucket.blob(name).upload_from_string("x")

    def listed(http, **query):
        text = http.get(f"/{bucket.name}", params={"max-keys": "1", "delimiter": "/", **query}).text
        return re.findall(r"<(?:Key|Prefix)>([^<]+)<", text), dict(re.findall(r"<(Next\w+)>([^<]+)<", text))

    with cloud.http() as http:
        found, following = listed(http)
        assert found == ["a/"]
        for query in (
            {"marker": following["NextMarker"]},
            {"continuation-token": following["NextContinuationToken"]},
        ):
            found, further = listed(http, **query)
            assert found == ["b"]
        assert listed(http, marker=further["NextMarker"]) == (["c"], {})
