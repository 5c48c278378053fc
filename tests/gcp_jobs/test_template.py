"""Job templates: what a writer of YAML gets for right and wrong files."""

import os
from pathlib import Path

import jinja2
import pytest

from gcp_jobs.errors import TemplateError
from gcp_jobs.settings import Settings
from gcp_jobs.template import FolderLoader, inline, parse

HERE = Settings(
    environment="local", project="project-1", region="europe-west1", job_service_account="job@project-1"
)
TEXT = """
base:
  name: report
  image: repo/report:1
  env: {LEVEL: info, PAGE: 5}
  secrets: {TOKEN: token}
  memory: 1024Mi
  timeout: 30m
  exit_codes:
    4: {means: the source is down, todo: wait}
local:
  env: {LEVEL: debug, EXTRA: true}
  cpu: 0.5
prod:
  service_account: other@project-1
"""


def test_an_overlay_is_merged_into_the_base_key_by_key() -> None:
    template = parse(TEXT, source="report.yaml", settings=HERE)
    spec = template.spec
    assert spec.env == {"LEVEL": "debug", "PAGE": "5", "EXTRA": "true"}
    assert (spec.cpu, spec.memory, spec.timeout) == ("500m", "1Gi", 1800)
    assert spec.secrets == {"TOKEN": "token:latest"}
    assert (spec.project, spec.region, spec.service_account) == ("project-1", "europe-west1", "job@project-1")
    assert spec.labels == {"environment": "local", "managed-by": "gcp-jobs"}
    assert template.exit_codes[4].means == "the source is down"


def test_another_environment_takes_its_own_overlay() -> None:
    prod = HERE.model_copy(update={"environment": "prod"})
    spec = parse(TEXT, source="report.yaml", settings=prod).spec
    assert (spec.service_account, spec.cpu, spec.env["LEVEL"]) == ("other@project-1", "1", "info")


def test_null_in_an_overlay_removes_the_base_value() -> None:
    dev = HERE.model_copy(update={"environment": "dev"})
    spec = parse(TEXT + "dev:\n  secrets: null\n", source="r", settings=dev).spec
    assert spec.secrets == {}


def test_an_operators_own_arguments_win_over_the_file() -> None:
    spec = parse(
        TEXT, source="r", settings=HERE, overrides={"name": "mine", "project": "p-2", "region": None}
    ).spec
    assert (spec.name, spec.project, spec.region) == ("mine", "p-2", "europe-west1")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("  memroy: 1Gi", ["base.memroy", "did you mean 'memory'"]),
        ("  memory: lots", ["base.memory", "512Mi or 2Gi", "'lots'"]),
        ("  timeout: soon", ["base.timeout", "1800s, 30m or 2h"]),
        ("  task_count: 0", ["base.task_count", "greater than or equal to 1"]),
        ("  network: {conector: c}", ["base.network.conector", "did you mean 'connector'"]),
        ("  network: {network: n, connector: c}", ["base.network", "either a connector or a network"]),
        ("  secrets: {KEY: 'a b'}", ["base.secrets.KEY", "a secret is named like"]),
        ("  secret_files: {key.pem: k}", ["base.secret_files.key.pem", "absolute"]),
        ("  env: {LEVEL: a}\n  secrets: {LEVEL: b}", ["set as env and as secret: LEVEL"]),
        (
            "  volumes: [{name: v, gcs: b, nfs: 's:/p'}]",
            ["base.volumes.0", "exactly one of gcs, nfs and memory"],
        ),
        ("local:\n  parallellism: 3", ["local.parallellism", "did you mean 'parallelism'"]),
        ("production:\n  cpu: 2", ["unknown key 'production'", "did you mean 'prod'"]),
        ("  name: twice", ["the key 'name' is there twice"]),
    ],
)
def test_a_wrong_field_is_named_with_file_path_and_fix(line: str, says: list[str]) -> None:
    text = f"base:\n  name: report\n  image: i\n{line}\n"
    with pytest.raises(TemplateError) as caught:
        parse(text, source="report.yaml", settings=HERE)
    for part in ["report.yaml", *says]:
        assert part in str(caught.value)


@pytest.mark.parametrize("text", ["", "base: []", "[1, 2]", "base: {name: a", "local: {}"])
def test_a_file_that_is_no_template_says_so(text: str) -> None:
    with pytest.raises(TemplateError, match=r"broken\.yaml"):
        parse(text, source="broken.yaml", settings=HERE)


def test_a_missing_field_is_named() -> None:
    with pytest.raises(TemplateError, match=r"base\.image: missing"):
        parse("base: {name: a}", source="a.yaml", settings=HERE)


def test_equal_specs_have_one_digest_whatever_the_spelling() -> None:
    one = inline({"name": "a", "image": "i", "memory": "1024Mi", "env": {"A": "1", "B": "2"}}, HERE).spec
    two = inline({"name": "a", "image": "i", "memory": "1Gi", "env": {"B": 2, "A": 1}}, HERE).spec
    assert one.digest == two.digest
    assert one.digest != two.model_copy(update={"image": "j"}).digest


def test_the_connector_of_the_settings_is_every_jobs_network() -> None:
    wired = HERE.model_copy(update={"vpc_connector": "c1", "vpc_egress": "all-traffic"})
    network = inline({"name": "a", "image": "i"}, wired).spec.network
    assert network is not None
    assert (network.connector, network.egress) == ("c1", "all-traffic")


def test_a_template_is_found_in_the_first_folder_that_has_it(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "both.yaml").write_text(folder)
    (tmp_path / "two" / "only.yaml").write_text("only two")
    environment = jinja2.Environment(loader=FolderLoader([tmp_path / "one", tmp_path / "two"]))
    assert environment.get_template("both.yaml").render() == "one"
    assert environment.get_template("only.yaml").render() == "only two"


def test_a_missing_template_names_folders_setting_and_the_nearest_file(tmp_path: Path) -> None:
    (tmp_path / "breeds.yaml").write_text("")
    environment = jinja2.Environment(loader=FolderLoader([tmp_path]))
    with pytest.raises(jinja2.TemplateNotFound) as caught:
        environment.get_template("breds.yaml")
    for part in (str(tmp_path), "GCP_JOBS_TEMPLATE_FOLDERS", "did you mean breeds.yaml"):
        assert part in str(caught.value)
    assert os.sep in str(caught.value)
