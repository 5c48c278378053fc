"""Uploads as their requests: what is told at each step, and what happens when a step goes wrong."""

import gzip
import json
import os
import socket

import httpx
import psutil
import pytest

CHUNK = 256 * 1024


@pytest.fixture
def http(cloud, bucket):
    with cloud.http() as http:
        yield http


@pytest.fixture
def begin(http, cloud):
    """Begins a resumable upload of object `a`; its URL."""

    def begin(query="", **headers):
        path = f"/upload/storage/v1/b/{cloud.project}/o?uploadType=resumable&name=a{query}"
        answer = http.post(path, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.headers["location"]

    return begin


def send(http, url, data, said=None, verb="PUT", **headers):
    return http.request(
        verb, url, content=data, headers={**({"content-range": said} if said else {}), **headers}
    )


@pytest.mark.parametrize("verb", ["PUT", "POST"])  # gcsfs sends its chunks by POST
def test_a_resumable_upload_goes_on_where_it_was(http, begin, verb):
    url, total = begin(), 2 * CHUNK + 5
    assert send(http, url, b"", "bytes */*").headers.get("range") is None
    first = send(http, url, b"1" * CHUNK, f"bytes 0-{CHUNK - 1}/*", verb)
    assert (first.status_code, first.headers["range"]) == (308, f"bytes=0-{CHUNK - 1}")
    gap = send(http, url, b"3" * 5, f"bytes {2 * CHUNK}-{total - 1}/{total}", verb)
    assert (gap.status_code, gap.json()["error"]["errors"][0]["reason"]) == (503, "backendError")
    again = send(http, url, b"1" * CHUNK + b"2" * CHUNK, f"bytes 0-{2 * CHUNK - 1}/{total}", verb)
    assert again.headers["range"] == f"bytes=0-{2 * CHUNK - 1}"
    assert send(http, url, b"", f"bytes */{total}").headers["range"] == f"bytes=0-{2 * CHUNK - 1}"
    done = send(http, url, b"3" * 5, f"bytes {2 * CHUNK}-{total - 1}/{total}", verb)
    assert (done.status_code, done.json()["size"]) == (200, str(total))
    asked = send(http, url, b"", "bytes */*")  # whoever lost that answer asks again
    assert (asked.status_code, asked.json()["generation"]) == (200, done.json()["generation"])
    got = http.get(done.json()["mediaLink"])
    assert got.content == b"1" * CHUNK + b"2" * CHUNK + b"3" * 5


@pytest.mark.parametrize(
    ("data", "said"),
    [(b"whole", None), (b"", None), (b"", "bytes */0"), (b"whole", "bytes 0-4/5"), (b"whole", "bytes 0-*/5")],
)
def test_one_request_may_bring_all(http, begin, data, said):
    answer = send(http, begin(), data, said)
    if said == "bytes 0-*/5":
        assert (answer.status_code, "Content-Range" in answer.text) == (400, True)
    else:
        assert (answer.status_code, answer.json()["size"]) == (200, str(len(data)))


def test_conditions_hold_at_the_end_of_an_upload_too(http, begin, bucket):
    """Two uploads that began when the object was not there: the second to end must not overwrite the first."""
    urls = [begin("&ifGenerationMatch=0"), begin("&ifGenerationMatch=0")]
    assert [send(http, url, b"x").status_code for url in urls] == [200, 412]
    assert send(http, urls[1], b"x").status_code == 404
    late = http.post(f"/upload/storage/v1/b/{bucket.name}/o?uploadType=resumable&name=a&ifGenerationMatch=0")
    assert late.status_code == 412


def test_a_cancelled_upload_is_gone(http, begin):
    url = begin()
    assert send(http, url, b"1" * CHUNK, f"bytes 0-{CHUNK - 1}/*").status_code == 308
    assert http.delete(url).status_code == 499
    assert send(http, url, b"", "bytes */*").status_code == 404


def test_a_chunk_that_is_not_the_last_has_a_round_size(http, begin):
    answer = send(http, begin(), b"123", "bytes 0-2/*")
    assert (answer.status_code, str(CHUNK) in answer.text) == (400, True)


def test_bytes_that_are_not_what_was_meant_are_refused_in_every_form(http, begin, bucket):
    path = f"/upload/storage/v1/b/{bucket.name}/o?name=a&uploadType="
    wrong = {"x-goog-hash": "crc32c=AAAAAA=="}
    metadata = json.dumps({"md5Hash": "1B2M2Y8AsgTpgAmY7PhCfg=="})
    lines = [
        b"--b",
        b"Content-Type: application/json",
        b"",
        metadata.encode(),
        b"--b",
        b"Content-Type: x/y",
        b"",
        b"data",
        b"--b--",
    ]
    multipart = {"content-type": "multipart/related; boundary=b"}
    answers = [
        http.post(path + "media", content=b"data", headers=wrong),
        http.post(path + "multipart", content=b"\r\n".join(lines), headers=multipart),
        send(http, begin(), b"data", **wrong),
    ]
    for answer in answers:
        error = answer.json()["error"]
        assert (error["code"], error["errors"][0]["reason"]) == (400, "invalid")
        assert "match calculated" in error["message"]
    assert list(bucket.list_blobs()) == []


@pytest.mark.parametrize("newline", [b"\r\n", b"\n"])
@pytest.mark.parametrize("data", [b"", b"data", b"\n", b"\r\n--not\r\n", b"--b\r\n\r\n"])
def test_a_multipart_upload_has_its_bytes_unchanged(http, bucket, newline, data):
    head = [
        b"--=b=",
        b"Content-Type: application/json",
        b"",
        b'{"name": "m", "metadata": {"k": "v"}}',
        b"--=b=",
    ]
    body = newline.join([*head, b"Content-Type: x/y", b"", data, b"--=b=--", b""])
    answer = http.post(
        f"/upload/storage/v1/b/{bucket.name}/o?uploadType=multipart",
        content=body,
        headers={"content-type": "multipart/related; boundary='=b='"},
    )
    made = answer.json()
    assert (made["size"], made["contentType"], made["metadata"]) == (str(len(data)), "x/y", {"k": "v"})
    assert http.get(made["mediaLink"]).content == data


@pytest.mark.parametrize(
    "body", [b"", b"--b", b"--b\r\n\r\n{}\r\n--b--", b"--b\r\n\r\n{\r\n--b\r\n\r\nx\r\n--b--"]
)
def test_a_malformed_multipart_upload_is_refused(http, bucket, body):
    path = f"/upload/storage/v1/b/{bucket.name}/o?uploadType=multipart&name=a"
    answer = http.post(path, content=body, headers={"content-type": "multipart/related; boundary=b"})
    assert (answer.status_code, answer.json()["error"]["errors"][0]["reason"]) == (400, "invalid")


def test_ranges_and_gzip(http, bucket):
    blob = bucket.blob("a")
    blob.content_encoding = "gzip"
    blob.upload_from_string(gzip.compress(b"0123456789"), content_type="text/plain")
    url = f"/download/storage/v1/b/{bucket.name}/o/a?alt=media"
    assert http.get(url).text == "0123456789"
    plain = http.get(url, headers={"accept-encoding": "identity"})
    assert (plain.content, plain.headers.get("content-encoding")) == (b"0123456789", None)
    bucket.blob("b").upload_from_string(b"0123456789", content_type="text/plain")
    for asked, status, got in (
        ("bytes=2-4", 206, b"234"), ("bytes=7-", 206, b"789"), ("bytes=-2", 206, b"89"), ("bytes=8-99", 206, b"89"),
        ("lines=1-2", 200, b"0123456789"),
    ):  # fmt: skip
        answer = http.get(url.replace("/a?", "/b?"), headers={"range": asked})
        assert (answer.status_code, answer.content) == (status, got)
        assert answer.headers["content-type"] == "text/plain"
    over = http.get(url.replace("/a?", "/b?"), headers={"range": "bytes=10-"})
    assert (over.status_code, over.json()["error"]["code"]) == (416, 416)


def test_a_request_that_makes_no_sense_is_refused_with_googles_reasons(http, bucket):
    path = f"/storage/v1/b/{bucket.name}"
    for verb, where, status, reason in (
        ("GET", f"{path}/o?maxResults=x", 400, "invalid"),
        ("GET", f"{path}/o?pageToken=x", 400, "invalid"),
        ("GET", "/storage/v1/b", 400, "required"),
        ("GET", f"{path}/o/none", 404, "notFound"),
        ("GET", f"{path}/o/none?ifGenerationMatch=x", 400, "invalid"),
        ("POST", f"{path}/o/none/unheard", 404, "notFound"),
        ("POST", f"/upload{path}/o", 400, "required"),
        ("PUT", f"/upload{path}/o?upload_id=none", 404, "notFound"),
        ("POST", "/batch/storage/v1", 400, "invalid"),
    ):
        answer = http.request(verb, where)
        assert (answer.status_code, answer.json()["error"]["errors"][0]["reason"]) == (status, reason), where


def test_calls_are_counted_by_caller_and_faults_reach_them(http, bucket):
    """What a job's identity does is seen, and a client's retries can be tried."""
    path, who = f"/storage/v1/b/{bucket.name}", {"authorization": "Bearer job@example.com"}
    http.get(path, headers=who)
    calls = http.get("/emulator/calls").json()["calls"]
    assert {"method": "storage.buckets.get", "caller": "job@example.com", "count": 1} in calls
    fault = {"kind": "call", "methods": ["storage.buckets.get"], "code": "UNAVAILABLE"}
    fault["caller"] = "job@example.com"
    made = http.post("/emulator/faults", json=fault)
    answer = http.get(path, headers=who)
    assert (answer.status_code, answer.json()["error"]["errors"][0]["reason"]) == (503, "backendError")
    http.delete(f"/emulator/faults/{made.json()['id']}")
    assert http.get(path, headers=who).status_code == 200


def test_an_object_larger_than_the_emulators_memory_goes_through(http, bucket, cloud):
    """A model or a dump of many GiB must not end the emulator."""
    process, block, blocks = psutil.Process(cloud.ready["pid"]), bytes(1 << 20), 128
    before = process.memory_info().rss
    path = f"/upload/storage/v1/b/{bucket.name}/o?uploadType=media&name=big"
    made = http.post(path, content=(block for _ in range(blocks)), timeout=60).json()
    most = process.memory_info().rss
    with http.stream("GET", made["mediaLink"]) as answer:
        size = 0
        for data in answer.iter_raw():
            size += len(data)
            most = max(most, process.memory_info().rss)
    assert (made["size"], size) == (str(blocks << 20), blocks << 20)
    assert most - before < 48 << 20


def test_a_client_that_is_killed_in_a_chunk_goes_on_from_what_arrived(http, begin, cloud):
    url, data = begin(), os.urandom(4 << 20)
    where = httpx.URL(url)
    with socket.create_connection((where.host, where.port)) as killed:
        head = (
            f"PUT {where.raw_path.decode()} HTTP/1.1\r\nHost: {where.host}\r\nContent-Length: {len(data)}\r\n"
        )
        said = f"Content-Range: bytes 0-{len(data) - 1}/{len(data)}\r\n\r\n"
        killed.sendall((head + said).encode() + data[: 3 << 20])
    asked = send(http, url, b"", f"bytes */{len(data)}")
    kept = int(asked.headers.get("range", "bytes=0--1").partition("-")[2]) + 1
    assert (asked.status_code, kept < len(data)) == (308, True)
    done = send(http, url, data[kept:], f"bytes {kept}-{len(data) - 1}/{len(data)}")
    assert http.get(done.json()["mediaLink"]).content == data
