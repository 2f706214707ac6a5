# Penstock's daily words. `make` alone prints them.
#
# Everything happens in .venv, which is made once with plain venv and pip; versions are pinned in
# constraints.txt. PYTHON=… names another interpreter, SEED=… and STEPS=… replay a simulation.

unexport PYTHONDONTWRITEBYTECODE
export PIP_DISABLE_PIP_VERSION_CHECK = 1

VENV := .venv
BIN := $(VENV)/bin
INPUTS := pyproject.toml compat/pyproject.toml constraints.txt
SEED ?=
STEPS ?=

.DEFAULT_GOAL := help
.PHONY: help demo test check simulate oracle bench docs clean

help: ## Print this
	@awk 'BEGIN {FS = ":.*## "} /^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.demo-installed ## Set up, start a server of its own, and watch a scheduled pipeline run
	@$(BIN)/penstock demo

test: check ## Run check and every test
	@$(BIN)/pytest -n 2

check: $(VENV)/.test-installed ## Lint, formatting, types, import contracts, documentation
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/pytest -q tests/docs

simulate: $(VENV)/.test-installed ## Run the simulated world; SEED=… STEPS=… replays a failure
	@$(BIN)/python -m tests.simulation $(if $(SEED),--seed $(SEED)) $(if $(STEPS),--steps $(STEPS))

oracle: $(VENV)/.test-installed ## Compare recurrences with the oracle: all zones, 2000 to 2037 (40 min)
	@$(BIN)/python -m tests.oracle --zones all --years 2000-2037 --changes 2011,2024-2026

bench: $(VENV)/.test-installed ## Run the benchmarks
	@$(BIN)/python -m benchmarks

docs: $(VENV)/.demo-installed ## Write the generated parts of docs/ anew
	@$(BIN)/python docs/generate.py

clean: ## Remove what the words above made, .venv included
	rm -rf $(VENV) .demo .oracle .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build dist
	find src compat tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

# ---- set-up: a stamp file each, so that it is done once and again when the inputs change ----

$(VENV)/.demo-installed: $(VENV)/bin/python $(INPUTS)
	@echo "Installing the server and what the demo needs …"
	@$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[server,demo]' -e compat
	@touch $@

$(VENV)/.test-installed: $(VENV)/bin/python $(INPUTS)
	@echo "Installing the server and what the tests need …"
	@$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[all,demo,test]' -e compat
	@touch $@ $(VENV)/.demo-installed

$(VENV)/bin/python:
	@found=; \
	for candidate in $(PYTHON) python3.14 python3.13 python3.12 python3.11 python3; do \
	  if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then found=$$candidate; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
	  echo "Penstock needs Python 3.11 or later, and there is none on PATH. Name one: make PYTHON=/path/to/python3" >&2; exit 1; \
	fi; \
	echo "Making $(VENV) with $$($$found --version) …"; \
	rm -rf $(VENV); \
	"$$found" -m venv $(VENV) >/dev/null 2>&1 \
	  || { rm -rf $(VENV); virtualenv --quiet --python "$$found" $(VENV) 2>/dev/null; } \
	  || { rm -rf $(VENV); echo "$$found cannot make virtual environments: install its venv module (on Debian and Ubuntu the package python3-venv), or virtualenv." >&2; exit 1; }
