# `make` alone lists the targets. Python >= 3.11, Node >= 20 and make are needed, nothing else.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
CLIENT := $(VENV)-client
STATIC := fused_jupyter/widgets/static

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help setup client js demo lab test check lint format docs notebooks bench soak kills load clean chromium

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.setup $(STATIC)/map.js ## make .venv with the package, its extension enabled, and the JavaScript

client: $(CLIENT)/.setup ## make an environment with Fused's own client, which the tests drive

js: $(STATIC)/map.js ## build the JavaScript of the maps

demo: setup ## run the quickstart in a real Jupyter server and fetch files and tiles from it
	$(BIN)/python scripts/demo.py

lab: setup ## open JupyterLab on the quickstart
	$(BIN)/jupyter lab $(if $(filter 0,$(shell id -u)),--allow-root) notebooks/quickstart.ipynb

test: setup client $(VENV)/.docs chromium check ## run every check and every test
	$(BIN)/pytest --nbval --nbval-current-env --nbval-sanitize-with tests/notebooks/sanitize.cfg tests fused_jupyter notebooks

check: setup $(VENV)/.docs lint ## the checks without the tests: style, types, layers, JavaScript, docs
	npm --prefix js run --silent check
	npm --prefix js test --silent
	$(BIN)/mkdocs build --strict --quiet

lint: $(VENV)/.setup ## style, types and layers of the Python side
	$(BIN)/ruff check --quiet
	$(BIN)/ruff format --check --quiet
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.setup ## put Python into the common form
	$(BIN)/ruff check --fix --quiet
	$(BIN)/ruff format

docs: setup $(VENV)/.docs ## build the documentation into site/
	$(BIN)/mkdocs build --strict

notebooks: setup ## run the notebooks and store their outputs
	$(BIN)/python scripts/run_notebooks.py

soak: setup ## ten minutes of everything at once, every answer checked; FOR=60 for less, SEED=1 to repeat
	$(BIN)/python scripts/soak.py --seconds $(or $(FOR),600) $(if $(SEED),--seed $(SEED))

kills: setup ## kill -9 of each kind of process, ten times each, at random moments; SEED=1 to repeat
	$(BIN)/python scripts/kills.py $(if $(SEED),--seed $(SEED))

load: setup ## fifty clients with tokens beside the owner's open map, for a minute; FOR=10 for less, SEED=1 to repeat
	$(BIN)/python scripts/token_load.py --seconds $(or $(FOR),60) $(if $(SEED),--seed $(SEED))

bench: setup $(VENV)/.bench chromium ## run the benchmarks
	for script in pictures tables vector_tiles function_cache disk_cache imports calls official_client tiles maps; do echo "== $$script"; PYTHONPATH=scripts $(BIN)/python benchmarks/$$script.py; done

clean: ## remove all that was built
	rm -rf $(VENV) $(CLIENT) $(STATIC) js/node_modules site demo-output dist build
	rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A browser is needed, not wished for: without it the tests of the map would say nothing.
chromium:
	@if command -v chromium chromium-browser google-chrome >/dev/null; then exit 0; fi; \
	if command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
	  export DEBIAN_FRONTEND=noninteractive; \
	  apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core; \
	else \
	  echo "The tests drive a browser, and there is none. Install Chromium so that \`chromium\` is on the PATH, e.g." >&2; \
	  echo "    sudo apt-get install chromium fonts-dejavu-core" >&2; \
	  echo "and run \`make test\` again." >&2; \
	  exit 1; \
	fi

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed, $(PYTHON) is older; try make PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/.setup: $(VENV)/.python pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check --editable ".[fast,h3,dev]"
	$(BIN)/jupyter server extension enable fused_jupyter --sys-prefix >/dev/null 2>&1 # a wheel does this by itself
	touch $@

$(VENV)/.docs: $(VENV)/.setup
	$(BIN)/pip install --quiet --disable-pip-version-check --editable ".[docs]"
	touch $@

$(VENV)/.bench: $(VENV)/.setup
	$(BIN)/pip install --quiet --disable-pip-version-check --editable ".[bench]"
	touch $@

# Both packages are called `fused`, so they live apart.
$(CLIENT)/.setup: $(VENV)/.python tests/official/requirements.txt
	$(PYTHON) -m venv --clear $(CLIENT)
	$(CLIENT)/bin/pip install --quiet --disable-pip-version-check --requirement tests/official/requirements.txt
	touch $@

js/node_modules/.package-lock.json: js/package.json js/package-lock.json
	@node -e 'process.exit(process.versions.node.split(".")[0] >= 20 ? 0 : 1)' || { echo "Node 20 or newer is needed: https://nodejs.org" >&2; exit 1; }
	npm ci --prefix js --no-audit --no-fund --loglevel=error
	touch $@

$(STATIC)/map.js: js/node_modules/.package-lock.json js/build.mjs js/world.mjs $(shell find js/src -type f)
	npm --prefix js run --silent build
	touch $@
