# One command an intent. `make` alone lists them.
.DEFAULT_GOAL := help
SHELL := /bin/sh
MAKEFLAGS += --no-print-directory
STATE := .state
BIN := $(STATE)/venv/bin
PY := $(BIN)/python
export PYTHON
export COVERAGE_ROOT := $(CURDIR)
# nothing that a shell around us set up for Airflow, dlt or Google's clients may leak in, but for the port of the UI
CLEAN := env $(foreach v,$(filter-out AIRFLOW_PORT,$(filter AIRFLOW_% GOOGLE_% CLOUDSDK_% GCE_% DLT_% %_EMULATOR_HOST PYTHONPATH,$(shell env | sed -n 's/^\([A-Z_a-z0-9]*\)=.*/\1/p'))),-u $(v))
LAPTOP := $(CLEAN) PYTHONPATH=include $(PY) -m laptop

.PHONY: help
help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "%-22s %s\n", $$1, $$2}'

.PHONY: setup
setup:
	@sh bin/setup

.PHONY: run
run: setup ## the dog breeds ingestion, end to end, on this machine (DAG=id: another)
	@$(LAPTOP) run $(if $(DAG),--dag $(DAG))

.PHONY: up
up: setup ## emulator and Airflow with its UI; Ctrl-C stops all
	@$(LAPTOP) up

.PHONY: test
test: setup ## the tests, with coverage
	@rm -rf $(STATE)/coverage && mkdir -p $(STATE)/coverage build
	@$(CLEAN) $(PY) -m pytest -n 2 --cov --cov-report= $(PYTEST_ARGS)
	@$(CLEAN) $(PY) -m coverage report && $(PY) -m coverage json -q -o build/coverage.json

.PHONY: lint
lint: setup ## style, types, arrows, Dockerfiles
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(CLEAN) $(BIN)/mypy
	@$(CLEAN) PYTHONPATH=plugins:include $(BIN)/lint-imports --no-cache
	@$(BIN)/hadolint Dockerfile include/images/*/Dockerfile

.PHONY: faults
faults: setup ## each fault: where it is caught, what the user reads (ONLY=regex: some)
	@$(CLEAN) PYTHONPATH=include:. $(PY) -m benchmarks.faults $(if $(ONLY),'$(ONLY)')

.PHONY: hazards
hazards: setup ## who ends a task, and does its job end with it: users, stalls, kills, evictions on a real Airflow (ONLY=name: some)
	@$(CLEAN) PYTHONPATH=include:. $(PY) -m benchmarks.hazards $(ONLY)

.PHONY: chaos
chaos: setup ## all is killed at the worst points: has each attempt one job, and the right end? (N strikes, MINUTES, SEED, LEVEL=fast|real)
	@$(CLEAN) PYTHONPATH=include:. $(PY) -m benchmarks.chaos $(if $(N),--strikes $(N)) $(if $(MINUTES),--minutes $(MINUTES)) $(if $(SEED),--seed $(SEED)) $(if $(LEVEL),--level $(LEVEL))

.PHONY: record-waits
record-waits: setup ## once a release: what its waits leave in Airflow's database, for the test that later code finishes them
	@$(CLEAN) PYTHONPATH=plugins:include:. $(PY) -m tests.gcp_jobs.in_flight

.PHONY: bench-ingest
bench-ingest: setup ## the ingestion beside a plain dlt pipeline (BREEDS_JSON: a real answer of the API)
	@$(CLEAN) PYTHONPATH=include $(PY) benchmarks/ingest.py

.PHONY: quality-check
quality-check: setup ## ingestion and tables on a real answer of the API (BREEDS_JSON), every record accounted for
	@$(LAPTOP) quality-check

.PHONY: bench-waiting
bench-waiting: setup ## waits for up to 50,000 jobs, beside the stock provider's (fewer: ARGS='--stock 100 --ours 100')
	@$(CLEAN) PYTHONPATH=include $(PY) benchmarks/waiting.py $(ARGS)
	@$(if $(ARGS),,$(CLEAN) PYTHONPATH=include $(PY) benchmarks/end_to_end.py)

.PHONY: chaos-waiting
chaos-waiting: setup ## 100,000 waits under lost, doubled, overtaking messages and refused reads (fewer: ARGS='--jobs 2000')
	@$(CLEAN) PYTHONPATH=include $(PY) benchmarks/waiting_chaos.py $(ARGS)

.PHONY: conformance
conformance: setup ## the verdict for each state of a Batch job, beside the stock operator's
	@$(CLEAN) GRPC_VERBOSITY=NONE PYTHONPATH=plugins:include:. $(PY) -m benchmarks.conformance

.PHONY: bench-end-to-end
bench-end-to-end: setup ## from a job's end to the next task through a real Airflow, beside the stock provider's
	@$(CLEAN) PYTHONPATH=include $(PY) benchmarks/end_to_end.py

.PHONY: bench-events
bench-events: setup ## from a message to its job, single and in bursts, beside the stock way (fewer: ARGS='--bursts 1 100 --stock 1')
	@$(CLEAN) PYTHONPATH=include $(PY) benchmarks/events.py $(ARGS)

.PHONY: compose-test
compose-test: setup ## build the images, bring the stack up, run the DAG through the REST API, take it down
	@$(LAPTOP) compose-test

.PHONY: images-test
images-test: setup ## the job images built by Docker, and run as containers against the emulator
	@$(CLEAN) PYTHONPATH=include:. $(PY) -m benchmarks.images

.PHONY: lock
lock: setup
	@$(BIN)/uv pip compile -q --universal --python-version 3.11 requirements.txt --group pyproject.toml:dev \
	  --custom-compile-command "make lock" -o constraints.txt

.PHONY: clean
clean: ## removes the state and the figures
	@rm -rf $(STATE) build
