# Each target sets up all it needs in .venv; done once, set-up takes no time until pyproject.toml changes, and seconds
# where C in adaptaug/core does.
PYTHON ?= python3
BIN := .venv/bin
CODE := adaptaug ui policies benchmarks tests examples docs
ARGS ?=
TWO := -n 2 --dist loadgroup --durations=10 --durations-min=1
BENCH ?= runs/bench
DATA ?= sklearn:digits
SITE ?= build/site

export PYTHON
export NO_ALBUMENTATIONS_UPDATE = 1
export GRADIO_ANALYTICS_ENABLED = False
# Every process that a test starts would compile all of adaptaug again, and pytest rewrite hypothesis.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help run core test test-fast test-slow check bench docs audit clean setup setup-ui

# The app does without a compiled core and says so; tests and measurements do not (ADAPTAUG_CORE=off make test does).
core test test-fast test-slow check bench: export ADAPTAUG_CORE ?= require

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' Makefile

run: setup-ui  ## set up, then start the app on sample photographs (PORT=7861 chooses the port)
	@echo "run: starting the app; Ctrl-C stops it"
	@exec $(BIN)/adaptaug ui $(if $(PORT),--port $(PORT)) $(ARGS)

core: setup  ## compile adaptaug/core where it has changed
	@$(BIN)/python -c 'from adaptaug.core import library; print("core:", library.load()._name)'

test: setup  ## set up, then run the tests (ARGS="-k crop -x" goes to pytest)
	@$(BIN)/python -m pytest -m "not slow" $(TWO) tests $(ARGS)

test-fast: setup  ## what to run while working: no browser, no training, no workers
	@$(BIN)/python -m pytest -m "not slow and not browser and not lengthy" $(TWO) tests $(ARGS)

# pytest exits 5 where it finds none, which is no failure here.
test-slow: setup  ## set up, then run the tests that take longer than a minute
	@if grep -rqs --include='*.py' 'mark\.slow' tests; then \
		$(BIN)/python -m pytest -m slow $(TWO) tests $(ARGS) || [ $$? -eq 5 ]; \
	else echo "test-slow: there are no slow tests"; fi

check: setup  ## formatting, lint, types, who imports whom, tests
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	@$(MAKE) --no-print-directory test

bench: setup  ## promises counted, then a short table of accuracy (DATA=any labelled data set; minutes)
	@$(BIN)/python -m benchmarks.promise --quick
	@mkdir -p $(BENCH)
	@$(BIN)/python -m benchmarks.accuracy --data $(DATA) --suite short --labels 200 --seeds 3 \
		--policies simclr-cifar simclr digits natural --out $(BENCH)/accuracy.jsonl $(ARGS)
	@$(BIN)/python -m benchmarks.report $(BENCH)/accuracy.jsonl --out $(BENCH)/accuracy.md

docs: setup  ## the site, into build/site; a warning is an error, notebooks are run (SITE=folder)
	@$(BIN)/python -m sphinx -q -W --keep-going -c docs -d build/doctrees -b html . $(SITE) $(ARGS)
	@echo "docs: $(SITE)/index.html"

# In an environment of its own: what audits is no part of what is audited.
audit: setup  ## known faults of the installed packages, by pip-audit (needs pypi.org)
	@test -x build/audit/bin/pip-audit || { $(PYTHON) -m venv build/audit && build/audit/bin/python -m pip install -q pip-audit; }
	@$(BIN)/python -m pip freeze --exclude-editable | sed 's/+.*//' > build/audit/installed.txt
	@build/audit/bin/pip-audit --strict --no-deps --disable-pip -r build/audit/installed.txt $(ARGS)

clean:  ## remove caches and build leftovers (the environment stays: rm -rf .venv removes it)
	@rm -rf build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis .gradio
	@find $(CODE) -name __pycache__ -type d -prune -exec rm -rf {} +

setup:
	@sh .ci/setup dev

setup-ui:
	@sh .ci/setup ui
