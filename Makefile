# Every target builds what it needs from nothing: an environment in .venv, made from pyproject.toml.
# One environment, filled in steps, so that `make demo` does not wait for the linters.

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV ?= .venv
PYTHONS ?= python3.11 python3.12 python3.13
JOBS ?= auto
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip -qq --disable-pip-version-check
SOURCES := $(shell find src tests docs examples tools -type f -not -path '*/__pycache__/*' 2>/dev/null)

# Two processes with a thread pool each on two cores only wait for one another.
export OMP_NUM_THREADS ?= 1
export OPENBLAS_NUM_THREADS ?= 1

.DEFAULT_GOAL := help
.PHONY: help demo test check bench calibrate pythons docs format lint types budgets doctests examples coverage clean

help:  ## the targets
	@sed -n 's/^\([a-z]*\):.*## /\1 | /p' $(MAKEFILE_LIST) | awk -F' \\| ' '{printf "make %-10s %s\n", $$1, $$2}'

demo: $(VENV)/.demo  ## the main job: a real trial analysed, a new one planned, drawn, analysed and reported
	@$(BIN)/python examples/first_trial.py

test: $(VENV)/.dev  ## the tests
	@rm -f .make/tested
	@$(MAKE) --no-print-directory .make/tested

check: lint types budgets .make/tested coverage doctests examples  ## everything CI asks for
	@echo "make check: all passed"

bench: $(VENV)/.bench  ## each speed claim beside its peers, in the same run
	@set -e; for file in benchmarks/bench_*.py; do echo "== $$file"; $(BIN)/python "$$file"; done

calibrate: $(VENV)/.dev  ## error rates and coverage by simulation, written to docs/validation.md: slow
	@mkdir -p .make; rm -f .make/validation.jsonl
	@KOKEILU_VALIDATION=$(CURDIR)/.make/validation.jsonl $(BIN)/python -m pytest tests/calibration -m calibration -n $(JOBS) -q; \
		failed=$$?; $(BIN)/python tools/validation.py .make/validation.jsonl && exit $$failed

pythons:  ## the tests under each Python that is supported, each in an environment of its own
	@for p in $(PYTHONS); do $(MAKE) --no-print-directory test PYTHON=$$p VENV=.venv-$$(basename $$p) || exit 1; done

docs: $(VENV)/.dev  ## run every code block of README.md and docs/
	@$(BIN)/python -m pytest tests/test_documents.py -n $(JOBS) -q

format: $(VENV)/.dev  ## lay out the code
	@$(BIN)/ruff check --fix --quiet . || true
	@$(BIN)/ruff format .

lint: $(VENV)/.dev
	@echo "lint"
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(VENV)/.dev
	@echo "types"
	@$(BIN)/mypy

budgets: $(VENV)/.dev
	@echo "budgets"
	@$(BIN)/python tools/budgets.py

doctests: $(VENV)/.dev
	@echo "doctests"
	@$(BIN)/python -m pytest --doctest-modules src -m "" -n $(JOBS) -q

examples: $(VENV)/.dev
	@mkdir -p .make; set -e; for file in examples/*.py examples/published/[a-z]*.py; do echo "example $$file"; $(BIN)/python "$$file" > .make/example.log 2>&1 \
		|| { cat .make/example.log; exit 1; }; done

coverage: .make/tested
	@echo "coverage"
	@$(BIN)/coverage report --fail-under=95

clean:  ## remove the environment and everything a target wrote
	@rm -rf .venv .venv-* .make .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache build dist report.html assignment.parquet register.parquet plan.json
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# `make test` always runs the tests; `make check` takes the result of the last passing run over these very files.
.make/tested: $(VENV)/.dev pyproject.toml $(SOURCES)
	@mkdir -p .make
	@$(BIN)/python -m pytest --cov --cov-report= -n $(JOBS) -q
	@touch $@

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "kokeilu needs Python 3.11 or newer: make PYTHON=/path/to/python3"; exit 1; }
	@echo "making an environment in $(VENV) with $(PYTHON)"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: pyproject.toml | $(BIN)/python
	@echo "installing kokeilu and what the demo needs into $(VENV): about a minute"
	@$(PIP) install --editable '.[report,examples]'
	@touch $@

$(VENV)/.dev: pyproject.toml | $(BIN)/python
	@echo "installing kokeilu and its development tools into $(VENV): one or two minutes"
	@$(PIP) install --editable '.[dev]'
	@mkdir -p .make
	@touch $@

$(VENV)/.bench: pyproject.toml | $(BIN)/python
	@echo "installing kokeilu and the peers of the benchmarks into $(VENV): two or three minutes"
	@$(PIP) install --editable '.[bench]'
	@touch $@
