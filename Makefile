# Each command creates .venv and installs what it needs; a second run starts at once.
PYTHON ?= python3
PYTEST_ARGS ?=
BENCH_ARGS ?=
ATTACK_SCALE ?= 1
# per cent of lines and branches; raised when a complete run is above it, never lowered
COVERAGE_FLOOR ?= 93
SHELL := bash
# The tests start hundreds of interpreters. Without compiled modules, each takes twice as long to import the package.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test test-fast coverage attack check hooks fix lock lowest smoke clients client-test notebooks docs release-check bench bench-smoke clean

help:
	@echo 'make demo     index the docstrings of the standard library and ask questions'
	@echo 'make test     the test suite (PYTEST_ARGS="-k name" for a part of it)'
	@echo 'make test-fast  the quick half of it, in less than two minutes'
	@echo 'make coverage the tests with their branch coverage, which has a floor (COVERAGE_FLOOR)'
	@echo 'make attack   hostile bytes, failing disks, costly requests (ATTACK_SCALE=0.1 for a share of it)'
	@echo 'make check    format, lint, strict types, twins, layout'
	@echo 'make hooks    check before each commit, by pre-commit'
	@echo 'make fix      put format, lint and twins in order where that is automatic'
	@echo 'make smoke    build, install and try the wheel on every Python found'
	@echo 'make clients  install the clients of Chroma that tests/clients/ is about'
	@echo 'make client-test  build and test chroma-arrow-client, with nothing else installed'
	@echo 'make notebooks  run the notebooks, and store what they show'
	@echo 'make docs     build the documentation site in build/site; broken links are errors'
	@echo 'make release-check  is this commit ready to be released, and what is to be done next'
	@echo 'make bench    side by side with other vector databases (BENCH_ARGS="--help")'
	@echo 'make bench-smoke  the same work on little data: results are right, nothing is timed'
	@echo 'make lowest   the test suite on the lowest versions we declare'
	@echo 'make lock     renew requirements/ci.txt'
	@echo 'make clean    remove everything that was built'
	@echo 'PYTHON=python3.12 (or a path) chooses the interpreter; the default is python3.'

demo:
	@PYTHON='$(PYTHON)' scripts/setup.sh run
	@.venv/bin/python -m chroma demo

test:
	@PYTHON='$(PYTHON)' scripts/setup.sh dev
	.venv/bin/python -m pytest -rs -n auto --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

test-fast:
	@PYTHON='$(PYTHON)' scripts/setup.sh dev
	.venv/bin/python -m pytest -q -m 'not slow' -n auto --dist loadfile $(PYTEST_ARGS)

# Tracing takes a sixth to two thirds more processor time than `make test`. Processes that tests start are not traced:
# that took another third where there are many.
coverage:
	@PYTHON='$(PYTHON)' scripts/setup.sh dev
	.venv/bin/python -m pytest -rs -n auto --dist loadfile --cov --cov-report=term:skip-covered --cov-fail-under=$(COVERAGE_FLOOR) $(PYTEST_ARGS)

attack:
	@PYTHON='$(PYTHON)' scripts/setup.sh dev
	CHROMA_ATTACK_SCALE=$(ATTACK_SCALE) .venv/bin/python -m pytest -rs -n auto --dist load --timeout 3600 tests/attack $(PYTEST_ARGS)

check:
	@PYTHON='$(PYTHON)' scripts/setup.sh dev
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/python scripts/twins.py --check
	.venv/bin/python scripts/reference.py --check
	.venv/bin/python -m pytest -q tests/test_layout.py tests/test_style.py

hooks:
	@PYTHON='$(PYTHON)' scripts/setup.sh dev
	.venv/bin/python -m pip install --disable-pip-version-check -q 'pre-commit>=4'
	.venv/bin/python -m pre_commit install

fix:
	@PYTHON='$(PYTHON)' scripts/setup.sh dev
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .
	.venv/bin/python scripts/twins.py
	.venv/bin/python scripts/reference.py

smoke:
	@PYTHON='$(PYTHON)' scripts/setup.sh dev
	scripts/smoke.sh

clients:
	@PYTHON='$(PYTHON)' scripts/clients.sh

client-test:
	@PYTHON='$(PYTHON)' scripts/setup.sh dev
	scripts/client_tests.sh

notebooks:
	@PYTHON='$(PYTHON)' scripts/setup.sh dev
	.venv/bin/python scripts/notebooks.py

docs:
	@PYTHON='$(PYTHON)' scripts/setup.sh dev
	NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build --strict --quiet

release-check:
	@PYTHON='$(PYTHON)' scripts/setup.sh dev
	.venv/bin/python scripts/release_check.py

bench:
	@PYTHON='$(PYTHON)' scripts/setup.sh dev
	.venv/bin/python benchmarks/bench.py $(BENCH_ARGS)

bench-smoke:
	@PYTHON='$(PYTHON)' scripts/setup.sh dev
	.venv/bin/python benchmarks/bench.py --smoke

lowest:
	@PYTHON='$(PYTHON)' scripts/lowest.sh

lock:
	@PYTHON='$(PYTHON)' scripts/lock.sh

clean:
	rm -rf .venv build dist *.egg-info .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .hypothesis .chroma-demo
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
