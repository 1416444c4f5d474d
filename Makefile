# make: what there is to make
PY ?= python3
BIN := .venv/bin
export PIP_DISABLE_PIP_VERSION_CHECK = 1
export OMP_WAIT_POLICY = PASSIVE

help:  ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

setup: .venv/.ok  ## make .venv with everything that pcaug needs

demo: .venv/.ok  ## run the whole pipeline once on a small real sample: scans in, report out (3 to 4 minutes)
	$(BIN)/pcaug demo -o demo --force

test: .venv/.ok  ## style, types, layers and tests
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest

test-browser: .venv/.ok  ## the HTML page in a real headless Chromium, the window in Xvfb; installs them where it may
	sh .ci/browser.sh
	PCAUG_BROWSER=1 $(BIN)/pytest tests/view

bench: .venv/.ok  ## side-by-side measurements (minutes)
	for file in benchmarks/bench_*.py; do $(BIN)/python $$file || exit 1; done

docs: .venv/.ok  ## docs/datasets.md from the cards
	$(BIN)/pcaug datasets --markdown > docs/datasets.md

clean:  ## remove .venv and caches
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist

.venv/.ok: pyproject.toml constraints.txt .ci/setup.sh
	sh .ci/setup.sh $(PY)
	touch $@

.PHONY: help setup demo test test-browser bench docs clean
