# Everything runs from a fresh checkout: the environment is made on first use.
PYTHON ?= python3
VENV   ?= .venv
BIN     = $(VENV)/bin
DEMO   ?= demo
# Rooms whose slow tests train: each runs on one core. Many of the others start two processes themselves.
TRAINING = tests/recipes tests/stages tests/training

.PHONY: env train-env demo test test-slow bench lint format schemas clean

env: $(VENV)/.stamp

$(VENV)/.stamp: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

# With torch and trl: what the fast tests do without.
train-env: $(VENV)/.train-stamp

$(VENV)/.train-stamp: $(VENV)/.stamp
	$(BIN)/python -m pip install --quiet --editable '.[dev,train]'
	touch $@

demo: env
	$(BIN)/cotgen demo $(DEMO)/data
	$(BIN)/cotgen build --source cholec80 --root $(DEMO)/data --out $(DEMO)/build
	$(BIN)/cotgen verify $(DEMO)/build
	@echo "The look-alike is in $(DEMO)/data, the data set in $(DEMO)/build. Look at it in the browser, or at one sample here:"
	@echo "  $(BIN)/cotgen view $(DEMO)/build"
	@echo "  $(BIN)/cotgen show $(DEMO)/build"

lint: env
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: env
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

test: lint
	$(BIN)/python -m pytest -n 2 -m "not slow"

test-slow: train-env
	$(BIN)/python -m pytest -m slow --durations=15 $(TRAINING:%=--ignore=%)
	$(BIN)/python -m pytest -m slow --durations=15 -n 2 $(TRAINING)

bench: env
	$(BIN)/python -m pip install --quiet --editable '.[bench]'
	$(BIN)/python -m tests.benchmarks

schemas: env
	$(BIN)/python -m cotgen.records.schemas schemas

clean:
	rm -rf $(VENV) $(DEMO) .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist
