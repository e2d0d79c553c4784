# Everything is done in .venv, from requirements/dev.txt alone.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
VENV := .venv
BIN := $(VENV)/bin
SETUP := $(VENV)/setup.stamp

# What makes the virtual environment: the first of these that is Python 3.11 or newer.
PYTHON ?= $(shell for python in python3 python3.11 python3.12 python3.13 /usr/bin/python3; do \
	$$python -c '$(NEW_ENOUGH)' 2>/dev/null && echo $$python && break; done)

PIP := $(BIN)/python -m pip --disable-pip-version-check --require-virtualenv
PIP_TOOLS := pip-tools==7.6.2

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup demo test test-engines campaign engines check bench screens lock clean

help: ## Show this list
	@grep -E '^[a-z-]+:.* ## ' $(MAKEFILE_LIST) | awk -F ':.* ## ' '{ printf "make %-12s %s\n", $$1, $$2 }'

setup: $(SETUP) ## Make .venv with clusterlog, every extra and all tools, from the lock

demo: setup ## Run a small cluster on this machine and follow one failing request across it
	$(BIN)/clusterlog demo

test: setup check ## Check, then run every test
	$(BIN)/python -m pytest

test-engines: setup ## Run the tests that need Elasticsearch 9.5, OpenSearch or servers of their own (make engines first)
	$(BIN)/python -m pytest -m "engines and not campaign"

campaign: setup ## Run the long proofs: kills by the dozen, each with its seed
	$(BIN)/python -m pytest -m campaign -s

engines: setup ## Fetch the servers and clients that tests start (Java and Maven are needed), into a cache of your home
	$(BIN)/python tests/engines/fetch.py

check: setup ## Lint, formatting, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

bench: setup ## Measure clusterlog beside its peers; one table
	$(BIN)/python -m bench

screens: setup ## Draw the screens of the documentation anew
	$(BIN)/python docs/screens/draw.py

lock: ## Resolve pyproject.toml again into requirements/dev.txt, everything at its newest
	$(PYTHON) -m venv --clear build/lock
	build/lock/bin/python -m pip --quiet install $(PIP_TOOLS)
	build/lock/bin/python requirements/wanted.py | CUSTOM_COMPILE_COMMAND="make lock" \
	build/lock/bin/pip-compile --quiet --upgrade --generate-hashes --strip-extras --output-file requirements/dev.txt \
		--no-emit-index-url --no-emit-trusted-host --no-emit-find-links -

clean: ## Remove .venv and everything the tools left
	rm -rf $(VENV) build dist .clusterlog .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Debian keeps ensurepip, without which there are no virtual environments, in a package of its own.
MEND := apt-get install -y python3-venv
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))

$(BIN)/python:
	@python="$(PYTHON)"; [ -z "$$python" ] || "$$python" -c ''; \
	if ! "$${python:-false}" -c 'import ensurepip, venv' 2>/dev/null; then \
		echo "$${python:-this machine} cannot make virtual environments; what mends it, as root: $(MEND)" >&2; \
		[ "$$(id -u)" = 0 ] || exit 2; \
		export DEBIAN_FRONTEND=noninteractive; apt-get update; $(MEND); \
		python=/usr/bin/python3; \
	fi; \
	if ! "$$python" -c '$(NEW_ENOUGH)'; then \
		echo "clusterlog needs Python 3.11 or newer, and $$python is older: make PYTHON=... says which one to take" >&2; \
		exit 2; \
	fi; \
	echo "$$python -m venv $(VENV)"; "$$python" -m venv --clear $(VENV)

$(SETUP): requirements/dev.txt pyproject.toml $(BIN)/python
	$(PIP) install --quiet --require-hashes --requirement requirements/dev.txt
	$(PIP) install --quiet --no-index --no-build-isolation --no-deps --editable .
	@touch $@
