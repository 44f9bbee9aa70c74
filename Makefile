# The same commands for people and for CI.
PYTHON ?= $(shell for p in python3.12 python3.11 python3.13 python3.14 python3; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' 2>/dev/null \
	&& echo $$p && break; done)
BIN := .venv/bin
UV := uv==0.13.9
PIP_AUDIT := pip-audit==2.10.1
WORKERS ?= 3

BASE ?= origin/main
BRANCH ?= retrain-$(shell git rev-parse --short=12 HEAD)

export UV_COMPILE_BYTECODE = 1
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help install ray run services test test-fast check audit lock retrain summary branch promote
help: ## What can be done here
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 12

install: .venv/.installed ## Install what pneumo needs into .venv

.venv/.installed: requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "pneumo needs Python 3.11 to 3.14: make PYTHON=/path/to/python"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet $(UV)
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

ray: install ## Install what `pneumo run --ray` needs as well, into .venv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r ray.lock

run: install ## Run the whole pipeline: data to registered champion and report
	pneumo run

services: install ## Start what a team shares: PostgreSQL, MLflow, Prefect with its worker
	pneumo services

check: install ## Format, lint, types, layers
	ruff format --check --quiet .
	ruff check --quiet .
	mypy --no-error-summary
	lint-imports > .venv/lint-imports.log || { cat .venv/lint-imports.log; exit 1; }
	check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml

audit: install ## Look up known vulnerabilities of all that is pinned; needs a network
	$(BIN)/uv tool run $(PIP_AUDIT) --disable-pip --require-hashes \
		--requirement requirements.lock --requirement ray.lock

test: check ## Everything that must hold
	python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

test-fast: check ## The tests that need no whole project and no server
	python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder -m "not slow"

# What .github/workflows/retrain.yml does, step by step.
retrain: install ## Fetch what was computed before, run what is stale, store it; nobody is promoted
	pneumo preflight
	dvc pull --quiet --allow-missing # nothing is there without a committed dvc.lock
	pneumo run --no-promote
	dvc push

summary: install ## Figures, parameters and promotion against BASE (origin/main), in Markdown
	@pneumo diff $(BASE)

branch: install ## Commit dvc.lock and ledger/, if they changed, to a branch and push it to origin
	git add -- $(wildcard dvc.lock ledger)
	git diff --cached --quiet || { git switch --create $(BRANCH) \
		&& git commit --quiet --message "Retrain" && git push origin HEAD; }

promote: retrain ## The same, then ask the registry: the best cell becomes champion if it may
	pneumo promote
	dvc push

COMPILE = uv pip compile pyproject.toml --universal --python-version 3.11 --upgrade \
	--generate-hashes --no-emit-index-url --no-header --no-annotate
lock: install ## Choose the newest versions that pyproject.toml allows
	$(COMPILE) --extra serve --extra train --extra ops --extra dev -o requirements.lock
	$(COMPILE) --extra serve --constraint requirements.lock -o serve.lock
	$(COMPILE) --extra ray --constraint requirements.lock -o ray.lock
