PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest
REAL_TESTS := tests/realcluster tests/blackbox

.DEFAULT_GOAL := help

.PHONY: help run test test-slow test-real realcluster check format fuzz bench clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

run: $(VENV)/.installed ## the proxy for real on loopback, with an issuer and two API servers to try it on
	$(BIN)/kubeoidcproxy sandbox

test: $(VENV)/.installed-dev ## the test suite
	$(PYTEST) -m "not slow"

test-slow: $(VENV)/.installed-dev ## the tests that wait for minutes, or repeat a thing ten thousand times
	$(PYTEST) -m slow

test-real: $(VENV)/.installed-dev ## the black-box tests against a real Kubernetes control plane (needs Go to build it)
	@if command -v go >/dev/null; then \
		assets=$$(tests/realcluster/build.sh) && KUBEBUILDER_ASSETS=$$assets $(PYTEST) $(REAL_TESTS); \
	elif [ -n "$$KUBEBUILDER_ASSETS" ]; then \
		$(PYTEST) $(REAL_TESTS); \
	else \
		echo "test-real: skipped, because there is no go command and KUBEBUILDER_ASSETS names no binaries"; \
	fi

realcluster: ## build kube-apiserver, etcd and the rest of the real control plane, once, outside the tree
	tests/realcluster/build.sh

check: $(VENV)/.installed-dev ## formatting, lint, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(VENV)/.installed-dev ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

fuzz: $(VENV)/.installed-dev ## 100 000 mutated streams against Go and llhttp, then hypothesis for longer
	$(BIN)/python tests/fuzz/run.py
	HYPOTHESIS_PROFILE=deep $(PYTEST) tests/http1 tests/relay tests/auth tests/audit tests/config

bench: $(VENV)/.installed-dev ## CPU, memory and time against HAProxy, in one run (see bench/README.md)
	$(BIN)/python bench/run.py

clean: ## remove the virtual environment and everything built
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	rm -f twisted/plugins/dropin.cache

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: setup.cfg $(VENV)/bin/python
	$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	touch $@

$(VENV)/.installed-dev: setup.cfg $(VENV)/bin/python
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@ $(VENV)/.installed
