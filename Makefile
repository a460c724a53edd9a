# `make demo` and `make test` do everything on a fresh machine; both make .venv when it is not there.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

.DEFAULT_GOAL := help
.PHONY: help demo test check bench lessons clean

help:
	@echo "make demo     install, then paint the embedded example into runs/demo (no files needed)"
	@echo "make test     install, then run lint, types and the whole test suite"
	@echo "make check    lint, types and the tests that do not need TensorFlow (seconds)"
	@echo "make bench    measure speed and memory against a reference in the same run"
	@echo "make lessons  run docs/lessons/*.py and write them as notebooks with their outputs"
	@echo "make clean    remove .venv and what tools leave behind (runs/ and pretrained/ stay)"

$(INSTALLED): setup.cfg pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or newer is needed")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

demo: $(INSTALLED)
	$(BIN)/nst-graph demo

test: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder --durations=15

check: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -m 'not slow and not tensorflow'

bench: $(INSTALLED)
	$(BIN)/python benchmarks/bench.py
	$(BIN)/python benchmarks/lbfgs_overhead.py

lessons: $(INSTALLED)
	$(BIN)/python docs/lessons/execute.py

clean:
	rm -rf .venv build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
