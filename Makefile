PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
LUCAS_COMMIT := c5c1f50
PARALLEL := --numprocesses logical --maxprocesses 8 --dist loadfile

.DEFAULT_GOAL := help
.PHONY: help demo test test-ecosystem test-browser test-remote test-s3 test-azure test-prometheus test-all test-lowest test-newest test-pythons check coverage locks compatibility protos async-client bench bench-all peers soak docs pictures setup lucas chosen

help: ## Show this list
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

$(BIN)/pip:
	@$(PYTHON) requirements/supported.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/pip.txt

chosen: | $(BIN)/pip
	@$(PYTHON) requirements/supported.py $(VENV)

# Some thousands of modules are installed and some hundreds imported, so each is compiled when it is imported first, and
# that is kept whatever the environment says: compiling all of them takes half a minute.
export PYTHONDONTWRITEBYTECODE :=

# A lock is installed once, and again when it, or what an installation is made of, has changed since. Hashes and an
# editable installation exclude each other, so the package itself comes after them, built by what the lock has.
$(VENV)/.%: requirements/%.txt pyproject.toml hatch_build.py $(wildcard *.pth *.start) \
		| $(BIN)/pip $(if $(filter file,$(origin PYTHON)),,chosen)
	@$(BIN)/python requirements/supported.py
	$(BIN)/pip install --quiet --no-compile --require-hashes -r $<
	$(BIN)/pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

demo: $(VENV)/.demo ## Run the main job: a workflow over weather data, references between its steps
	$(BIN)/lucas-storage run examples/weather.py

test: $(VENV)/.test ## Run the quick tests, which is most of all
	$(BIN)/pytest -m "not slow" $(PARALLEL)

test-all: test ## Run these, then the slow ones, and those that take longer at their full size
	$(BIN)/pytest --thorough -m "slow or thorough or sized" $(PARALLEL)

# The figure alone is judged: some tests count what a process opens, imports or prints, and the tracer does so, too; and a
# process that a test kills while it writes down what it went through leaves a file that cannot be read.
coverage: $(VENV)/.dev ## Run the quick and the slow tests with a tracer; fail if they reach less than CONTRIBUTING.md states
	$(BIN)/coverage erase
	-$(BIN)/coverage run -m pytest $(PARALLEL) -o timeout=400
	-$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --skip-covered

test-ecosystem: $(VENV)/.ecosystem ## Run every example and every block of the documents, and what else needs heavy libraries
	$(BIN)/pytest --ecosystem -m ecosystem $(PARALLEL)

test-browser: $(VENV)/.browser ## Look at every page of `lucas-storage ui` in a real browser
	$(BIN)/python tests/lucas_storage/ui/chromium.py
	$(BIN)/pytest --browser -m browser tests/lucas_storage/ui

test-remote: test-s3 test-azure ## Run the tests that need another store: over a Ceph of their own, and over Azurite

test-s3: $(VENV)/.test ## Run those over S3, of a Ceph that is installed as root
	tests/remote/ceph-rgw.sh run $(BIN)/pytest -k "ceph and not async or remote and not contract" tests/contract tests/remote

test-azure: $(VENV)/.test ## Run those over Azure's blobs, of an Azurite that npm fetches
	$(BIN)/python tests/remote/azurite.py $(BIN)/pytest $(PARALLEL) -k "Azure and not async and not unix" tests/contract/test_azure.py

test-prometheus: $(VENV)/.test ## Run those of what watches a server, with Debian's Prometheus, which apt-get fetches
	$(BIN)/python tests/deploy/prometheus.py $(BIN)/pytest tests/deploy/test_watching.py

test-lowest: ## Run the tests that meet a dependency with the lowest versions the ranges allow
	.ci/versions lowest $(PARALLEL)

test-newest: ## Run these with the newest versions there are, whatever is locked
	.ci/versions newest $(PARALLEL)

test-pythons: ## Run a part of the tests on every other Python that is stated and found here
	.ci/versions pythons $(PARALLEL)

docs: $(VENV)/.docs ## Build the documentation as a site into build/site, readable without a network
	$(BIN)/python generators/documentation/build.py

pictures: $(VENV)/.demo ## Draw the architecture, and the chart of the demo, into docs/pictures
	$(BIN)/python generators/architecture_picture.py
	$(BIN)/lucas-storage run examples/weather.py docs/pictures/weather.png

setup: $(VENV)/.dev ## Install everything a contributor needs

check: setup ## Format, lint, types, layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

locks: ## Lock anew what demo, tests and contributors install, as requirements/lock.py says
	$(PYTHON) requirements/lock.py

compatibility: test-lowest test-newest ## Write the versions that these ran with into docs/compatibility.md
	.venv-newest/bin/python requirements/versions.py write

protos: ## Regenerate actorc/_generated from protos/
	$(PYTHON) protos/generate.py

async-client: ## Regenerate actorc/storage/_async/_generated from the methods of StorageClient
	$(PYTHON) generators/async_client.py

# Other products are optional: where they cannot be installed, their rows say so. They come into an environment of their
# own, since boto3 wants other versions than the tests have.
BENCH = $$(test -e .venv-bench/.bench && echo .venv-bench/bin || echo $(BIN))/python

peers: $(VENV)/.test
	-@$(MAKE) --no-print-directory VENV=.venv-bench .venv-bench/.bench

bench: peers ## Measure beside baselines and other products, and write the tables into docs/performance.md
	$(BENCH) -m benchmarks --write docs/performance.md

bench-all: peers ## Measure all there is, and draw how it grows with size, objects, clients, workers and readers
	$(BENCH) -m benchmarks --all --write docs/performance.md
	$(BENCH) -m benchmarks.growth

soak: $(VENV)/.test ## Run everything at once for twenty minutes, with kills, strangers and a bad network
	$(BIN)/python -m benchmarks.soak --report docs/soak.md

lucas: $(VENV)/.test ## Clone genuine Lucas at the pinned commit and put it on the path of .venv
	test -d .lucas || git clone --quiet https://github.com/Xdydy/Lucas .lucas
	git -C .lucas checkout --quiet $(LUCAS_COMMIT)
	$(BIN)/python -c "import pathlib, sysconfig; pathlib.Path(sysconfig.get_path('purelib'), 'lucas.pth').write_text(str(pathlib.Path('.lucas').resolve()))"
