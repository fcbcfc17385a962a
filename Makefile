# Everything a developer or an operator runs. `make demo` and `make test` need Python 3.11, make and a network.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
UV := .uv/bin/uv --system-certs

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

.uv/bin/uv: requirements/uv.txt
	@$(PYTHON) -c 'import sys; sys.exit("Volens needs Python 3.11 or newer; set PYTHON=… to one" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .uv
	.uv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@touch $@

.venv/ready: requirements/dev.txt .uv/bin/uv
	test -x $(BIN)/python || $(PYTHON) -m venv --without-pip .venv
	$(UV) pip sync --quiet --require-hashes --python $(BIN)/python requirements/dev.txt
	@touch $@

install: .venv/ready  ## build .venv from the locked requirements

demo: .venv/ready  ## the main job, end to end, in this terminal (ONCE=1 stops after the summary)
	@exec $(BIN)/python -m config.demo $(if $(ONCE),--once)

test: .venv/ready  ## every check there is
	@PATH="$(CURDIR)/$(BIN):$$PATH" bash tests/run

.venv-benchmarks/ready: requirements/benchmarks.txt .uv/bin/uv
	test -x .venv-benchmarks/bin/python || $(PYTHON) -m venv --without-pip .venv-benchmarks
	$(UV) pip sync --quiet --require-hashes --python .venv-benchmarks/bin/python requirements/benchmarks.txt
	@touch $@

benchmarks: .venv-benchmarks/ready  ## figures beside the peer or the limit, on PostgreSQL (ROWS=100000 for a smaller dose)
	@PATH="$(CURDIR)/.venv-benchmarks/bin:$$PATH" TEST_DATABASE=postgres TEST_DURABLE=1 python -m pytest -p no:randomly tests/benchmarks/*_of_*.py

faults: .venv/ready  ## the full dose of what may go wrong, with a report, on PostgreSQL and SQLite
	@for database in postgres sqlite; do PATH="$(CURDIR)/$(BIN):$$PATH" DOSE=full TEST_DATABASE=$$database python -m pytest -n 2 --timeout 7200 tests/faults tests/campaigns/test_a_life_of_messages.py || exit; done

lock: .uv/bin/uv  ## resolve the requirement files anew
	$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header pyproject.toml -o requirements/base.txt
	$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header pyproject.toml --group dev -c requirements/base.txt -o requirements/dev.txt
	$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header pyproject.toml --group benchmarks -c requirements/dev.txt -o requirements/benchmarks.txt

.PHONY: help install demo test benchmarks faults lock
