"""dbt, unmodified, on the emulator's BigQuery: what its users rely on happens, and happens right."""

import asyncio
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from benchmarks import adc
from gcp_emulator import process
from gcp_emulator.runtime.environments import Environments

ROOT = Path(__file__).resolve().parents[3]
REQUIREMENTS = ROOT / "include" / "images" / "dog_breeds_tables" / "requirements.txt"
CACHE = ROOT / ".state" / "image-environments"
pytestmark = pytest.mark.timeout(200)
Twice = dict[str, Any]


@pytest.fixture(scope="module")
def twice(tmp_path_factory: pytest.TempPathFactory) -> Twice:
    """What twice.py tells of two builds of the project beside it."""
    python = asyncio.run(Environments(CACHE).ensure(REQUIREMENTS)) / "bin" / "python"
    folder = tmp_path_factory.mktemp("dbt") / "project"
    shutil.copytree(Path(__file__).with_name("project"), folder)
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    with (
        process.start() as cloud,
        adc.granted("dbt@local-project.iam.gserviceaccount.com", "local-project") as login,
    ):
        ran = subprocess.run(
            [python, Path(__file__).with_name("twice.py"), folder],
            env=kept | cloud["env"] | login,
            capture_output=True,
            text=True,
            timeout=150,
            check=False,
        )
    assert ran.returncode == 0, ran.stderr[-4000:]
    told: Twice = json.loads(ran.stdout.splitlines()[-1])
    return told


def test_every_node_is_built_both_times_and_the_warning_stays_one(twice: Twice) -> None:
    for build in (twice["first"], twice["second"]):
        assert {name: told for name, told in build.items() if told[0] in ("error", "fail", "skipped")} == {}
    assert twice["first"]["a_state_we_know"] == ["warn", 1]
    assert twice["second"]["a_state_we_know"] == ["pass", 0]


def test_a_seed_keeps_quotes_types_and_missing_values(twice: Twice) -> None:
    assert twice["seed"] == [
        [1, "Ada, L.", "2026-01-01", 1.5],
        [2, "Grace H.", "2026-01-02", None],
    ]


def test_an_incremental_merge_updates_adds_and_leaves_the_rest_and_takes_a_new_column(twice: Twice) -> None:
    assert twice["orders"] == [
        [1, "open", "99", None],
        [2, "paid", "7", "PAID"],
        [3, "open", "1", "OPEN"],
    ]


def test_insert_overwrite_replaces_whole_partitions_and_only_those_with_new_rows(twice: Twice) -> None:
    assert twice["by_day"] == [["2026-01-01", 1, "77"], ["2026-01-02", 1, "1"], ["2026-01-02", 2, "7"]]
    assert (twice["partitioned"], twice["clustered"]) == ("day", ["customer_id"])


def test_a_snapshot_keeps_what_was(twice: Twice) -> None:
    assert twice["history"] == [[1, "Ada, L.", True], [2, "Grace", False], [2, "Grace H.", True]]


def test_descriptions_are_kept_and_docs_find_every_table(twice: Twice) -> None:
    assert twice["described"] == ["The orders as they are now.", "The order's own number."]
    nodes = twice["catalog"]["nodes"]
    assert set(nodes) >= {
        "model.shop.orders",
        "model.shop.all_orders",
        "model.shop.orders_by_day",
        "seed.shop.customers",
    }
    assert set(nodes["model.shop.orders"]["columns"]) == {
        "id",
        "customer_id",
        "state",
        "amount",
        "loaded_at",
        "shouted",
    }


def test_freshness_tells_old_from_new(twice: Twice) -> None:
    assert twice["freshness"] == {"orders": ["pass", None], "long_ago": ["warn", None]}
