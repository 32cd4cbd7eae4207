# Two commands matter: `make demo` and `make test`. Both set up what they need in .venv.
PYTHON ?= python3.11
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
PYTEST := $(BIN)/python -m pytest

.PHONY: help demo test quick lint lab bench docs browser clean

help:
	@echo "make demo     set up and run the main job on the demo market"
	@echo "make test     set up, then ruff, mypy, import contracts and all tests but the browser's"
	@echo "make quick    the same without the slow tests"
	@echo "make browser  tests in headless Chromium (needs /usr/bin/chromium)"
	@echo "make lab      JupyterLab with the example notebooks"
	@echo "make bench    side-by-side benchmarks with the peer (see tests/benchmarks/README.md)"
	@echo "make docs     reference pages from the docstrings"

$(READY): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "needs $(PYTHON); set PYTHON=..."; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "setting up $(VENV) (a few minutes the first time)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[dev]"
	@touch $@

demo: $(READY)
	$(BIN)/qnb demo

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint
	$(PYTEST) -m "not browser and not benchmark_peer" -n 2 --dist loadfile

quick: lint
	$(PYTEST) -m "not browser and not benchmark_peer and not slow" -n 2 --dist loadfile

browser: $(READY)
	$(PYTEST) -m browser

lab: $(READY)
	$(BIN)/jupyter lab --notebook-dir=example_notebooks

bench: $(READY)
	$(BIN)/python -m tests.benchmarks

docs: $(READY)
	$(BIN)/python docs/make_reference.py

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
