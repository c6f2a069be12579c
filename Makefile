# Two commands on a fresh machine with Python 3.11 or 3.12:
#   make demo   installs the package and replays real data through it
#   make test   installs what the tests need and runs all checks
.PHONY: help demo test check unit other bench faults torture format clean
SHELL := bash
.DEFAULT_GOAL := help

VENV := .venv
OTHER := .venv-other
BIN := $(VENV)/bin

help:
	@sed -n 's/^# \{0,1\}//p' Makefile | head -3
	@echo "  make check | unit | other | bench   the parts of make test;  make format;  make clean"
	@echo "  make faults                 break flows, write docs/when-it-dies.md"
	@echo "  make torture KILLS=300      kill flows that often"

$(BIN)/python:
	@echo "making a virtual environment in $(VENV)"
	@for python in python3.12 python3.11 python3 python; do \
	  if $$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' 2>/dev/null; \
	  then exec $$python -m venv $(VENV); fi; done; \
	  echo "no Python 3.11 or 3.12 found: install one of them" >&2; exit 1

$(VENV)/.package: $(BIN)/python pyproject.toml
	@echo "installing streamflow and what it needs"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.dev: $(BIN)/python pyproject.toml
	@echo "installing what the tests need"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@sh tests/servers/install.sh
	@touch $@ $(VENV)/.package

demo: $(VENV)/.package
	@$(BIN)/streamflow demo

test: check unit other bench
	@echo "all checks passed"

check: $(VENV)/.dev
	@echo "lint, format, types, layers"
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy
	@out=$$($(BIN)/lint-imports --no-cache --no-logo) || { echo "$$out"; exit 1; }

unit: $(VENV)/.dev
	@echo "tests"
	@$(BIN)/pytest -n 3 --dist worksteal --cov --cov-report=term:skip-covered --cov-fail-under=90

# Law 5 and the formats once more on the other Python, whose libraries are other versions, too.
other: $(BIN)/python
	@case $$($(BIN)/python -V) in *3.12*) other=python3.11;; *) other=python3.12;; esac; \
	if ! $$other -c "" 2>/dev/null; then echo "no $$other here: law 5 is not tested on it"; exit 0; fi; \
	echo "law 5 and formats on $$other"; \
	test -x $(OTHER)/bin/python || $$other -m venv $(OTHER); \
	$(OTHER)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'; \
	$(OTHER)/bin/python -m pytest -p no:cacheprovider tests/laws/test_compiled.py tests/unit/formats

bench: $(VENV)/.dev
	@echo "benchmarks, small size"
	@$(BIN)/python -m benchmarks all --size small --repeats 3

faults: $(VENV)/.dev
	@$(BIN)/python tests/faults/report.py docs/when-it-dies.md

KILLS := 300
torture: $(VENV)/.dev
	@$(BIN)/pytest tests/faults --torture $(KILLS) --timeout 0

format: $(VENV)/.dev
	@$(BIN)/ruff check --fix --quiet .
	@$(BIN)/ruff format --quiet .

clean:
	rm -rf $(VENV) $(OTHER) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage
