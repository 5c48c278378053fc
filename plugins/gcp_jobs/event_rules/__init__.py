"""Rules by which events start jobs: a Pub/Sub message or a bucket's object becomes one run of a job template.

    name: nightly-orders
    source: {bucket: shop-exports, prefix: orders/, glob: "*.csv"}
    template: event_job.yaml
    env: {INPUT: "gs://{object.bucket}/{object.name}"}

Files of the folders in GCP_JOBS_EVENT_RULE_FOLDERS, one rule a file (fields: model.py). An event that no rule wants,
or more than one, or whose payload does not fit, goes to the dead-letter topic with the reason (judge.py).
"""
