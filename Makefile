# The doors of mesonb: `make` alone lists them. Each sets up what it needs first.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup lab test test-all coverage storm chaos demo bench lint format lock labextension clean elsewhere

ARGS ?=
N ?= 200
PYTHON ?=
BROWSER ?= yes
IN_VENV := PATH="$(CURDIR)/.venv/bin:$$PATH"

# Installed files: an editable install copies these, so a change in one is a reason to install again.
INSTALLED := $(shell find extensions/jupyter-config mesonb/labextension -type f 2>/dev/null)

# A .venv knows the folder it was made for; in a copied or moved tree it is made anew.
ELSEWHERE := $(shell [ "$$(cat .venv/home 2>/dev/null)" = "$(realpath .)" ] || echo elsewhere)

help:  ## List these targets
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.venv/stamp: constraints.txt pyproject.toml tools/setup.sh $(INSTALLED) $(ELSEWHERE)
	@PYTHON="$(PYTHON)" tools/setup.sh

elsewhere:

setup: .venv/stamp  ## Make .venv with everything in it, and stop

lab: setup  ## Open JupyterLab on the first lesson; ARGS="--no-browser --port 8890" goes to JupyterLab
	@$(IN_VENV) jupyter lab $$([ "$$(id -u)" != 0 ] || echo --allow-root) --ServerApp.root_dir="$(CURDIR)" \
	    --LabApp.default_url=/lab/tree/notebooks/00-first-offer.ipynb $(ARGS)

test: setup  ## Run the tests (under 15 minutes); ARGS="-k offers -x" goes to pytest, BROWSER=no leaves the browser out
	@tools/test.sh $(BROWSER) "not slow" $(ARGS)

test-all: setup  ## Run every test, those marked slow as well: storms, chaos, soak
	@tools/test.sh $(BROWSER) "slow or not slow" $(ARGS)

coverage: setup  ## Show that the core's tests take every branch of the core; fails below 100 %
	@$(IN_VENV) pytest -q --cov=mesonb/core --cov-branch --cov-report=term-missing:skip-covered --cov-fail-under=100 \
	    tests/core tests/log tests/transcripts tests/papers tests/sim/test_replay.py tests/frameworks/test_declared.py \
	    mesonb/core $(ARGS)

storm: setup  ## Run N storms (200) on all cores, and check that nothing is lost; ARGS="--seed 7" begins elsewhere
	@$(IN_VENV) mesonb storm --runs $(N) --processes "$$(nproc 2>/dev/null || echo 2)" $(ARGS)

chaos: setup  ## Kill, stop and cut the parts of a live cluster N times (200) while it works, and check that nothing is lost
	@$(IN_VENV) MESONB_FAULTS=$(N) pytest -m slow tests/live/test_chaos.py $(ARGS)

demo: setup  ## Run two frameworks on one local Dask cluster, print what happened and write a report
	@$(IN_VENV) mesonb demo $(ARGS)

bench: setup  ## Run every benchmark beside its peers; each prints its ratios last
	@for script in benchmarks/*.py; do echo "== $$script"; $(IN_VENV) python "$$script" $(ARGS); done

lint: setup  ## Check style and types, and change nothing
	@export $(IN_VENV); ruff check . && ruff format --check . && mypy

format: setup  ## Lay the code out, and repair what ruff can
	@export $(IN_VENV); ruff check --fix --quiet . ; ruff format .

lock:  ## Choose versions anew and write them, with hashes, to constraints.txt
	@tools/lock.sh

labextension: setup  ## Build the JupyterLab extension anew (needs Node); what is built is committed
	@.venv/bin/python tools/labextension.py

clean:  ## Remove .venv and everything made
	@rm -rf .venv build dist out .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage
