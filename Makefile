# Two targets do everything, set-up included: `make demo` and `make test`; `make quick` leaves slow tests out. They need Python 3.11 or later, and make.
PYTHON ?= python3
VENV := .venv
DEMO := results/coin-run

.PHONY: demo test quick lint docs notebooks wheel newcomer pythons release-check clean

demo: $(VENV)/installed
	$(VENV)/bin/chisel run coin-run --out $(DEMO)
	$(VENV)/bin/chisel figure $(DEMO) --x env.diversity
	$(VENV)/bin/chisel rates $(DEMO) --by env.diversity
	@echo "README.md has this table from one CPU and one set of versions. Others train other policies from the same seeds:"
	@echo "a rate may differ by as much as two samples of 64 do, 0.17 near one half and 0.1 near 0.1 (docs/reliability.md)."

test: $(VENV)/ready
	$(VENV)/bin/python -m pytest --numprocesses 2 --dist loadfile

# The loop while working.
quick: $(VENV)/ready
	$(VENV)/bin/python -m pytest --numprocesses 2 --dist loadfile -m 'not slow'

lint: $(VENV)/ready
	$(VENV)/bin/codespell
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

# Writes the site to site/; a link or a heading that leads nowhere is an error.
docs: $(VENV)/ready
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --strict

# Writes the notebooks' outputs anew: first-steps from the results of `make demo`, the others from the shipped ones; colab has none.
notebooks: $(VENV)/ready
	$(VENV)/bin/jupytext --quiet --to ipynb analysis/notebooks/*.py
	CHISEL_RESULTS=$(abspath $(DEMO)) $(VENV)/bin/jupyter execute --inplace \
	    $(filter-out %/colab.ipynb,$(wildcard analysis/notebooks/*.ipynb))

# Builds sdist and wheel, installs the wheel into a fresh environment and works with it there; it takes some minutes.
wheel:
	$(PYTHON) tests/wheel.py

# A newcomer's first hour with the wheel, each step beside its limit; pictures of it are left in build/newcomer.
newcomer: $(VENV)/ready
	$(VENV)/bin/python -m tests.newcomer

# The quick tests with each supported Python and jax; environments are kept in CHISEL_PYTHONS, or build/pythons.
pythons:
	$(PYTHON) tests/pythons.py

# What has to be so before a version is tagged: version, citation, changelog, everything committed, the pages' long commands
# (some hours, with `chisel checks` among them), and a wheel that works.
release-check: $(VENV)/ready
	$(PYTHON) tests/release.py

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache

$(VENV)/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Chisel needs Python 3.11 or later; this is " + sys.version.split()[0] + ". Try: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --upgrade pip
	$(VENV)/bin/python -m pip install --quiet --constraint constraints.txt --editable .
	touch $@

# What the tests, the linters, the notebooks and the site need besides.
$(VENV)/ready: $(VENV)/installed
	$(VENV)/bin/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@
