"""All that a project holds before Airflow runs there, made in the emulator; what is there already stays."""

from laptop import buckets, cloud, datasets, environment, events


def deploy(host: str, url: str, api_key: str) -> None:
    """`host` and `url`: the emulator's gRPC and REST addresses; `api_key`: what the ingestion's secret holds."""
    cloud.deploy(host, api_key)
    buckets.keep(url, environment.REPORTS)
    datasets.keep(url)
    events.keep(host, url)
