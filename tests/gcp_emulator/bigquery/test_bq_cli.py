"""The bq command-line tool, unmodified, where it is installed: what people type by hand."""

import json
import os
import shutil
import subprocess

import pytest


@pytest.fixture
def bq(cloud, gcloud_config, tmp_path):
    """Run bq in the test's project; what it prints. `error` is a part of what it says when it must fail."""
    if shutil.which("bq") is None:
        pytest.skip("the bq CLI is not installed")
    own = ["--oauth_access_token=me@mine.iam.gserviceaccount.com", f"--api={cloud.ready['rest']}"]
    environment = os.environ | {"CLOUDSDK_CONFIG": str(gcloud_config), "HOME": str(tmp_path)}

    def bq(*words, error=""):
        done = subprocess.run(
            ["bq", *own, f"--project_id={cloud.project}", "--format=json", *words],
            env=environment,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert (done.returncode != 0) == bool(error), done.stderr + done.stdout
        assert error in done.stdout + done.stderr
        return done.stdout

    return bq


def test_a_file_is_loaded_queried_and_shown(bq, cloud, tmp_path):
    file = tmp_path / "breeds.csv"
    file.write_text("1,Akita\n2,Boxer\n")
    bq("mk", "--dataset", "d")
    bq("load", "d.t", str(file), "id:INTEGER,name:STRING")
    counted = bq("query", f"SELECT COUNT(*) AS n FROM [{cloud.project}:d.t]")
    assert json.loads(counted) == [{"n": "2"}]
    assert [field["name"] for field in json.loads(bq("show", "d.t"))["schema"]["fields"]] == ["id", "name"]
    bq("show", "d.no", error="Not found: Table")
