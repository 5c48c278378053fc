"""The pipeline that the requirement document starts from: one GET, the whole list in memory, dlt's defaults.

Environment: DOG_API_BASE_URL, DUCKDB_PATH, PIPELINES_DIR. The other side of `benchmarks/ingest.py`.
"""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import dlt
import requests


@dlt.resource(
    name="dog_breeds_resource",
    write_disposition="replace",
    columns={"breed_json": {"data_type": "json"}},
)
def dog_breeds() -> Iterator[dict[str, Any]]:
    response = requests.get(f"{os.environ['DOG_API_BASE_URL']}/breeds", timeout=600)
    response.raise_for_status()
    for breed in response.json():
        yield {"row_id": breed["id"], "breed_json": breed, "updated_at": datetime.now(UTC)}


if __name__ == "__main__":
    pipeline = dlt.pipeline(
        "dog_breeds_pipeline",
        pipelines_dir=os.environ["PIPELINES_DIR"],
        destination=dlt.destinations.duckdb(os.environ["DUCKDB_PATH"]),
        dataset_name="dog_breeds_raw",
    )
    print(pipeline.run(dog_breeds()))
