"""gcsfs, gcloud-aio and the gcloud CLI: other ways to the same objects."""

import asyncio
import subprocess
import sys

GCSFS = """
import gcsfs
fs = gcsfs.GCSFileSystem(project={project!r}, token="anon")
fs.pipe("{bucket}/g/a", b"small")
with fs.open("{bucket}/g/big", "wb", block_size=2**18) as file:
    for _ in range(5):
        file.write(b"q" * 300_000)
with fs.open("{bucket}/g/big", "rb") as file:
    file.seek(1_499_990)
    assert file.read() == b"q" * 10
assert fs.cat("{bucket}/g/a") == b"small" and fs.info("{bucket}/g/big")["size"] == 1_500_000
assert fs.ls("{bucket}/g") == ["{bucket}/g/a", "{bucket}/g/big"] == fs.glob("{bucket}/g/*")
fs.cp("{bucket}/g/a", "{bucket}/g/b")
fs.mv("{bucket}/g/b", "{bucket}/c")
fs.rm("{bucket}/g", recursive=True)
assert fs.find("{bucket}") == ["{bucket}/c"], fs.find("{bucket}")
fs.mkdir("{bucket}-2")
assert sorted(fs.ls("")) == ["{bucket}-2/", "{bucket}/"]
fs.rmdir("{bucket}-2")
"""


def test_gcsfs(bucket, cloud, monkeypatch):
    """What pandas and dlt write `gs://` with; in a process of its own, as it keeps a thread and a session for ever."""
    monkeypatch.setenv("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
    script = GCSFS.format(bucket=bucket.name, project=cloud.project)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


def test_gcloud_aio(bucket):
    """What the Google provider's triggers use."""
    from aiohttp import ClientSession
    from gcloud.aio.storage import Storage

    async def use(name):
        async with ClientSession() as session:
            storage = Storage(session=session)
            assert (await storage.upload(name, "aio/a b", b"hi"))["size"] == "2"
            assert (await storage.upload(name, "aio/b", b"x" * 100, force_resumable_upload=True))[
                "size"
            ] == "100"
            assert (await storage.upload(name, "aio/c", b"hi", metadata={"metadata": {"k": "v"}}))[
                "size"
            ] == "2"
            assert (await storage.download_metadata(name, "aio/c"))["metadata"] == {"k": "v"}
            assert await storage.download(name, "aio/a b") == b"hi"
            stream = await storage.download_stream(name, "aio/b")
            assert len(await stream.read()) == 100
            assert (await storage.copy(name, "aio/b", name, new_name="aio/d"))["done"]
            await storage.delete(name, "aio/c")
            there = storage.get_bucket(name)
            assert await there.list_blobs(prefix="aio/") == ["aio/a b", "aio/b", "aio/d"]
            assert not await there.blob_exists("none")

    asyncio.run(use(bucket.name))


def test_the_gcloud_cli_copies_there_and_back(gcloud, bucket, tmp_path):
    (tmp_path / "a.txt").write_text("from gcloud")
    there = f"gs://{bucket.name}/x/a.txt"
    gcloud("storage", "cp", str(tmp_path / "a.txt"), there, raw=True)
    assert bucket.blob("x/a.txt").download_as_text() == "from gcloud"
    assert gcloud("storage", "cat", there, raw=True) == "from gcloud"
    gcloud("storage", "cp", f"gs://{bucket.name}/none", str(tmp_path), raw=True, error="matched no objects")
