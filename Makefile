# Two commands are enough: `make run` and `make test`. Needs Python 3.11+, make and git.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
UV     := VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/uv pip
STAMP  := $(VENV)/.codelab

.DEFAULT_GOAL := help
.PHONY: help run dev test e2e check lint types arch cov gates evals bench conformance probe chaos lock clean

help: ## Show the targets
	@grep -hE '^[a-z0-9]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-11s %s\n", $$1, $$2}'

$(BIN)/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "CodeLab needs Python 3.11 or newer: make PYTHON=python3.12 run"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv

$(STAMP)-run: requirements.lock pyproject.toml | $(BIN)/uv
	@test -e $(STAMP)-dev || { $(UV) sync --quiet --require-hashes --compile-bytecode requirements.lock \
	  && $(UV) install --quiet --no-deps -e .; }
	@touch $@

$(STAMP)-dev: requirements-dev.lock pyproject.toml | $(BIN)/uv
	@$(UV) sync --quiet --require-hashes --compile-bytecode requirements-dev.lock
	@$(UV) install --quiet --no-deps --no-build-isolation -e .
	@mkdir -p .types && ln -sfn .. .types/codelab
	@touch $@ $(STAMP)-run

run: $(STAMP)-run ## Start the service with the demo model; ARGS="-w DIR" names the workspace
	@$(BIN)/codelab serve $(or $(ARGS),-w .)

dev: $(STAMP)-dev ## Serve the graphs with `langgraph dev` for Studio
	@$(BIN)/langgraph dev --no-browser $(ARGS)

test: $(STAMP)-dev ## Run the tests (no root, no services needed)
	@$(BIN)/pytest -n 2 -m "not e2e" $(ARGS)

e2e: $(STAMP)-dev ## Run all tests, real processes included
	@$(BIN)/pytest -n 2 $(ARGS)

check: lint types arch ## Lint, types and architecture

lint: $(STAMP)-dev ## ruff: rules and format
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

types: $(STAMP)-dev ## mypy --strict
	@MYPYPATH=.types $(BIN)/mypy -p codelab

arch: $(STAMP)-dev ## Import order and the architecture tests
	@$(BIN)/lint-imports --no-cache && $(BIN)/pytest -q -m "not e2e" tests/architecture

COV    := --cov --cov-report=term --cov-fail-under=85
GATES  := */tools/approval.py,*/tools/permissions.py,*/tools/policy.py,*/tools/commands.py,*/agents/gate.py,*/runtime/approvals/*.py

cov: $(STAMP)-dev ## Tests with coverage: 85 %, and every branch of policy and approvals
	@$(BIN)/pytest -n 2 -m "not e2e" $(COV) $(ARGS)
	@$(MAKE) --no-print-directory gates

gates: $(STAMP)-dev # After a run with coverage: no branch of policy and approvals is untested
	@$(BIN)/coverage report --show-missing --include='$(GATES)' --fail-under=100

evals: $(STAMP)-dev ## Run every eval suite with the scripted model
	@$(BIN)/codelab eval run $(ARGS)

bench: $(STAMP)-dev ## Side-by-side benchmarks against bare LangGraph
	@$(BIN)/python -m bench $(ARGS)

conformance: $(STAMP)-dev ## The integration suite of langgraph-sdk against our server
	@$(BIN)/python -m tests.conformance.run $(ARGS)

probe: $(STAMP)-dev ## The same calls against `langgraph dev` and us; no unexplained difference
	@$(BIN)/python -m tests.conformance.probe $(ARGS)

chaos: $(STAMP)-dev ## Kill, pause and cut off real processes; ARGS=--short for half a minute's storm
	@$(BIN)/pytest -n 2 tests/chaos $(ARGS)

lock: $(BIN)/uv ## Resolve the lock files anew
	@$(UV) compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --all-extras pyproject.toml -o requirements-dev.lock
	@$(UV) compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -c requirements-dev.lock pyproject.toml -o requirements.lock

clean: ## Remove what make made
	@rm -rf $(VENV) .types build dist *.egg-info .coverage* .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .langgraph_api .conformance
