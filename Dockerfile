# Two images from one file: `airflow` (the default) and `emulator`, the embedded Google Cloud.
ARG AIRFLOW_VERSION=3.3.2
ARG PYTHON_VERSION=3.11

FROM python:${PYTHON_VERSION}-slim-bookworm AS emulator
# the same user and group as Airflow's image, so that both write to one volume
RUN useradd --uid 50000 --gid 0 --create-home emulator \
 && install -d -o 50000 -g 0 -m 0775 /opt/gcp_jobs /opt/environments /data /state
WORKDIR /opt/gcp_jobs
COPY requirements.txt constraints.txt ./
RUN names='^(dockerfile-parse|duckdb|google-cloud-(batch|logging|monitoring|pubsub|run|secret-manager)|google-crc32c|googleapis-common-protos|grpcio|lark|pydantic|sqlglot|starlette|typer|uv|uvicorn)==' \
 && { grep -E "$names" requirements.txt; echo numpy; echo pytz; } >emulator.txt \
 && pip install --no-cache-dir --quiet -r emulator.txt -c constraints.txt
COPY --chown=50000:0 include include
USER 50000:0
ENV PYTHONPATH=/opt/gcp_jobs/include PYTHONUNBUFFERED=1
# the environments of the job images, so that no job waits for its packages
RUN python -m gcp_emulator.prepare --env-cache /opt/environments
EXPOSE 8085 8086
ENTRYPOINT ["python", "-m", "gcp_emulator", "--host", "0.0.0.0", "--env-cache", "/opt/environments"]
CMD ["--state", "/state"]

FROM apache/airflow:${AIRFLOW_VERSION}-python${PYTHON_VERSION} AS airflow
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
USER 0
RUN install -d -o 50000 -g 0 -m 0770 /keys && install -d -o 50000 -g 0 -m 0775 /data
USER 50000
COPY requirements.txt /tmp/
# What the image has stays as it is: its own versions are the constraints for what the DAGs need beside it.
RUN ours='^(dlt(\[.*\])?|duckdb|sqlglot)==' \
 && { grep -E "$ours" /tmp/requirements.txt; echo croniter; echo pydantic-settings; } >/tmp/ours.txt \
 && pip freeze --exclude-editable | grep -E '^[A-Za-z0-9._-]+==' | grep -vE "$ours" >/tmp/image.txt \
 && pip install --no-cache-dir --quiet -r /tmp/ours.txt -c /tmp/image.txt
COPY --chown=50000:0 plugins /opt/airflow/plugins
COPY --chown=50000:0 include/job_templates /opt/airflow/include/job_templates
COPY --chown=50000:0 include/event_rules /opt/airflow/include/event_rules
COPY --chown=50000:0 dags /opt/airflow/dags
# for `python -m gcp_jobs.ledger` and `python -m gcp_jobs.settings`; Airflow itself finds its plugins anyway
ENV PYTHONPATH=/opt/airflow/plugins
