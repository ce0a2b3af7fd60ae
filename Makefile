# make only calls the project's own commands; with uv or pip at hand they can be called directly (CONTRIBUTING.md).
PYTHON ?= python3
BIN := .venv/bin
export DAGSTER_HOME ?= $(CURDIR)/.dagster
# longer than a store is asked in vain (CV_ASSETS_STORE_DEADLINE), so that a sensor ends with what it found
export DAGSTER_SENSOR_GRPC_TIMEOUT_SECONDS ?= 300
export DAGSTER_SCHEDULE_GRPC_TIMEOUT_SECONDS ?= 300

.PHONY: demo test faults dev check lock clean

demo: .venv/run.ready            ## draw a small data set and make a version of it
	$(BIN)/cv-assets draw
	$(BIN)/cv-assets run shapes

test: .venv/dev.ready            ## every test that needs no server beyond what it starts itself
	$(BIN)/python -m pytest -n 2 --dist worksteal --durations=60

faults: .venv/dev.ready          ## every fault at every point of a publish, with a table; two hours or more
	$(BIN)/python -m cv_assets_tests.faults

dev: .venv/run.ready             ## the same, with the Dagster UI on http://127.0.0.1:3000
	$(BIN)/cv-assets draw
	-$(BIN)/cv-assets run shapes --version v1
	$(BIN)/dagster dev -w workspace.yaml -h 127.0.0.1 -p 3000

check: .venv/dev.ready           ## lint, types and layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports

lock: .venv/dev.ready            ## new pins, without index URLs
	$(BIN)/uv pip compile -q --universal --no-emit-index-url --no-header --extra stack -o requirements.lock pyproject.toml
	$(BIN)/uv pip compile -q --universal --no-emit-index-url --no-header --all-extras -c requirements.lock -o requirements-dev.lock pyproject.toml

clean:                           ## the environment; versions in store/ and uploads stay
	rm -rf .venv

.venv/run.ready: requirements.lock pyproject.toml
	PYTHON=$(PYTHON) sh .ci/install requirements.lock
	touch $@

.venv/dev.ready: requirements-dev.lock pyproject.toml
	PYTHON=$(PYTHON) sh .ci/install requirements-dev.lock
	touch .venv/run.ready $@
