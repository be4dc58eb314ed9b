# The project's tasks. `make` alone lists them. Only Python 3.11, make, git and a network are needed.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup demo test check lint up down status torture clean-data lock

PYTHON ?= python3.11
BIN := .venv/bin
STAMP := .venv/.ready
INVOICES ?=
AS_OF ?=
FIRMS ?=
SOURCE ?= economy
YEARS ?=

help: ## list these tasks
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | awk -F'\t' '{printf "  make %-11s %s\n", $$1, $$2}'

setup: $(STAMP) ## install everything into .venv/ (nothing to do when it is there)

$(STAMP): requirements.lock pyproject.toml tools/setup.sh
	@PYTHON="$(PYTHON)" tools/setup.sh
	@touch $@

demo: setup ## the whole job on a simulated economy [FIRMS=n YEARS=n]; SOURCE=built-in or INVOICES=folder [AS_OF=date]: on files
	$(if $(filter economy built-in,$(SOURCE)),,$(error SOURCE is economy or built-in, not '$(SOURCE)'; files of your own are INVOICES=folder))
	@$(BIN)/vinelake demo run $(if $(INVOICES),--invoices "$(INVOICES)",$(if $(filter built-in,$(SOURCE)),--built-in)) \
		$(if $(AS_OF),--as-of "$(AS_OF)") $(if $(FIRMS),--firms $(FIRMS)) $(if $(YEARS),--years $(YEARS))

test: setup ## run all tests, in two processes: most of those that need the engine, and the rest
	@# What a clean machine has to fetch for some tests is fetched beside the others.
	@$(BIN)/vinelake sources fetch 2>/dev/null & \
		$(BIN)/python -m pytest -n 2 --dist loadscope

check: setup ## style, import rules and the fast tests (under three minutes)
	@$(MAKE) --no-print-directory lint
	@$(BIN)/python -m pytest tests/unit tests/contracts tests/grader -m "not engine and not services"

lint: setup ## style and import rules
	@$(BIN)/ruff check .
	@$(BIN)/lint-imports

up: setup ## start the local services
	@$(BIN)/vinelake up

down: ## stop the local services that were started here, and the source systems that a demo started
	@if [ -x $(BIN)/vinelake ]; then $(BIN)/vinelake down; else echo "  nothing was running"; fi

status: setup ## show what runs, where it answers, where its log is
	@$(BIN)/vinelake status

torture: setup ## long fault campaigns; hours, not part of `make test`
	@VINELAKE_TORTURE=1 $(BIN)/python -m pytest tests/torture --timeout=0

clean-data: ## remove all data under var/; packages stay, and services that run go on running
	@if [ -x $(BIN)/vinelake ]; then $(BIN)/vinelake clear --yes; else rm -rf var; fi

lock: setup ## resolve pyproject.toml anew into requirements.lock
	@tools/lock.sh
