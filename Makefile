PYTHON ?= python3
BIN := .venv/bin
LUCAS_COMMIT := c5c1f50
PARALLEL := --numprocesses logical --maxprocesses 8 --dist loadfile

.DEFAULT_GOAL := help
.PHONY: help demo test test-remote test-all check protos bench setup lucas

help: ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(BIN)/python:
	$(PYTHON) -m venv .venv

demo: $(BIN)/python ## Run the main job: a workflow over weather data, references between its steps
	$(BIN)/pip install --quiet -e ".[examples]"
	$(BIN)/lucas-storage run examples/weather.py

test: $(BIN)/python ## Run the quick tests, which is all but a few
	$(BIN)/pip install --quiet -e ".[test]"
	$(BIN)/pytest $(PARALLEL)

test-all: test ## Run these, then those that take longer at their full size
	$(BIN)/pytest --thorough -m "thorough or sized" $(PARALLEL)

test-remote: $(BIN)/python ## Run the tests that need a real S3 store, over a Ceph of their own
	$(BIN)/pip install --quiet -e ".[test]"
	tests/remote/ceph-rgw.sh run $(BIN)/pytest -k "ceph and not async or remote and not contract" tests/contract tests/remote

setup: $(BIN)/python ## Install everything a contributor needs
	$(BIN)/pip install --quiet -e ".[dev]"

check: setup ## Format, lint, types, layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

protos: ## Regenerate actorc/_generated from protos/
	$(PYTHON) protos/generate.py

bench: $(BIN)/python ## Measure against the baselines, one table
	$(BIN)/pip install --quiet -e ".[test]"
	$(BIN)/python -m benchmarks

lucas: $(BIN)/python ## Clone genuine Lucas at the pinned commit and put it on the path of .venv
	test -d .lucas || git clone --quiet https://github.com/Xdydy/Lucas .lucas
	git -C .lucas checkout --quiet $(LUCAS_COMMIT)
	$(BIN)/pip install --quiet "pydantic>=1.10.8"
	$(BIN)/python -c "import pathlib, sysconfig; pathlib.Path(sysconfig.get_path('purelib'), 'lucas.pth').write_text(str(pathlib.Path('.lucas').resolve()))"
