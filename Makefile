# `make` alone prints this list. Every target works from a fresh clone: what it needs is
# installed into .venv first, once for each change of pyproject.toml.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules --warn-undefined-variables

VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed-dev
LIGHT ?= .venv-light
PYTEST_ARGS ?= -n 2 --dist loadfile
BENCH ?= $(wildcard benchmarks/bench_*.py)

# The newest interpreter that really runs (a version manager's shim may not), is new enough and
# can make a virtual environment.
define FIND_PYTHON
for candidate in $${PYTHON:-} python3.13 python3.12 python3.11 python3 python; do \
  if "$$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
  then echo "$$candidate"; exit 0; fi; \
done; \
echo "error: Python 3.11 or newer with the venv module is needed (Debian: apt install python3-venv)." >&2; \
echo "       Name another interpreter with PYTHON=/path/to/python3 make ..." >&2; \
exit 1
endef

.PHONY: help
help: ## Show this list
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  %-12s%s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: install
install: $(STAMP) ## Make .venv and install everything a developer needs

# pip comes last when an environment is made: one that was interrupted is made again.
$(BIN)/pip:
	@python=$$($(FIND_PYTHON)); echo "making $(VENV) with $$python"; "$$python" -m venv $(VENV)

$(STAMP): pyproject.toml | $(BIN)/pip
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

.PHONY: run
run: $(STAMP) ## Start the hub in the foreground
	@$(BIN)/memctx serve

.PHONY: test
test: $(STAMP) ## Run the whole test suite
	@$(BIN)/pytest $(PYTEST_ARGS)

.PHONY: test-fast
test-fast: $(STAMP) ## Run the tests that take seconds
	@$(BIN)/pytest -m 'not slow' $(PYTEST_ARGS)

.PHONY: test-light
test-light: $(STAMP) ## Run the tests of replica and agent where only [agent] is installed
	@test -x $(LIGHT)/bin/pip || $(BIN)/python -m venv $(LIGHT)
	@$(LIGHT)/bin/python -m pip install --quiet --disable-pip-version-check '.[agent]' \
	  hypothesis psutil pytest pytest-timeout pytest-xdist
	@! $(LIGHT)/bin/python -c 'import sqlalchemy' 2>/dev/null
	@MEMCTX_TEST_HUB_PYTHON=$(CURDIR)/$(BIN)/python \
	  $(LIGHT)/bin/python -m pytest tests/sync_agent $(PYTEST_ARGS)

.PHONY: test-long
test-long: $(STAMP) ## Play long histories of sync (MEMCTX_TEST_STEPS=20000; the seed is printed)
	@MEMCTX_TEST_STEPS="$${MEMCTX_TEST_STEPS:-20000}" $(BIN)/pytest -s tests/sync

.PHONY: lint
lint: $(STAMP) ## Check style and formatting
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check

.PHONY: format
format: $(STAMP) ## Rewrite files in the house style
	@$(BIN)/ruff check --fix-only
	@$(BIN)/ruff format

.PHONY: types
types: $(STAMP) ## Check the types (mypy, strict)
	@$(BIN)/mypy

.PHONY: imports
imports: $(STAMP) ## Check who may import whom
	@$(BIN)/lint-imports --no-logo

.PHONY: bench
bench: $(STAMP) ## Run the benchmarks (BENCH=benchmarks/bench_x.py for one)
	@test -n "$(strip $(BENCH))" || { echo "error: no benchmarks/bench_*.py" >&2; exit 1; }
	@for file in $(BENCH); do echo "== $$file"; $(BIN)/python "$$file"; done

.PHONY: docs
docs: $(STAMP) ## Make the generated documents again
	@$(BIN)/python -m tools.generate

.PHONY: docs-check
docs-check: $(STAMP) ## Check that the generated documents are up to date
	@$(BIN)/python -m tools.generate --check

.PHONY: check
check: lint types imports docs-check ## Run every check that is not a test

.PHONY: sbom
sbom: $(STAMP) ## Write what the images install (CycloneDX, licences)
	@$(BIN)/python -m tools.sbom

.PHONY: audit
audit: $(STAMP) ## Look for known vulnerabilities; needs the advisory service
	@$(BIN)/python -m tools.audit

.PHONY: clean
clean: ## Remove .venv and caches; data in .memctx-data stays
	@rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .schemathesis
	@find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
