# Two commands matter: `make book` and `make test`. Both set up .venv first, once.
# Set PYTHON to choose the interpreter, as in `make book PYTHON=python3.12`.
# Set SITE_URL to where the site will lie, as in `make book SITE_URL=https://example.org/book/`, for its link previews.

.DEFAULT_GOAL := help
# The targets share .venv and _build, and the heavy ones use every core already.
.NOTPARALLEL:
.DELETE_ON_ERROR:

OLDEST := 3.11
CANDIDATES := python3 python3.11 python3.12 python3.13 python3.14 python
RECENT_ENOUGH := import sys; sys.exit(sys.version_info < tuple(map(int, "$(OLDEST)".split("."))))
PYTHON ?= $(firstword $(foreach p,$(CANDIDATES),$(shell $(p) -c '$(RECENT_ENOUGH)' 2>/dev/null && echo $(p))))

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
SITE := _build/html
PORT ?= 8000
# A process for each core, up to four, and one thread in each; a process that is done takes tests of another.
SIDE_BY_SIDE := --numprocesses logical --maxprocesses 4 --dist worksteal

# What a caller's shell may carry in that would change or stop a run: other modules, other kernels, a plot window, a pager.
unexport PYTHONPATH PYTHONHOME PYTHONSTARTUP PYTHONWARNINGS PYTHONINSPECT MPLBACKEND JUPYTER_PATH IPYTHONDIR PYTEST_ADDOPTS
unexport VIRTUAL_ENV PIP_REQUIRE_VIRTUALENV PIP_USER PIP_TARGET PIP_CONSTRAINT
export PYTHONNOUSERSITE := 1
export PIP_NO_INPUT := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export JUPYTER_PREFER_ENV_PATH := 1
export IPYTHONDIR := $(CURDIR)/$(VENV)/ipython
export PAGER := cat

.PHONY: help book browse pdf installed test lint format unit faults validate verify notebooks lab bench serve matrix lock venv clean distclean

help: ## Show this list
	@echo "usage: make TARGET"
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

book: $(INSTALLED) ## Execute the notebooks, build the site, check it
	@$(BIN)/python tools/execute_notebooks.py
	@# A page is read once and its warnings are said once: after a failure every page must be read again.
	@$(BIN)/jupyter-book build . --toc book/_toc.yml --warningiserror --keep-going --nitpick \
		|| { rm -rf _build/.doctrees; exit 1; }
	@$(BIN)/python tools/check_site.py $(SITE)
	@echo
	@echo "The book: file://$(CURDIR)/$(SITE)/index.html"
	@echo "'make serve' shows it at http://localhost:$(PORT)/."

pdf: $(SITE)/index.html ## Print the built book into one PDF, and offer it on the site (needs chromium)
	@$(BIN)/python tools/make_pdf.py $(SITE)
	@$(BIN)/python tools/check_site.py $(SITE)

installed: $(SITE)/index.html ## Run three downloaded notebooks in an empty folder, with the library from its wheel
	@$(BIN)/python tools/run_downloaded.py $(SITE)/_sources/notebooks

browse: $(INSTALLED) ## Press through the built book in a browser (needs chromium)
	@$(BIN)/python -m pytest tests/browser -q -o addopts= $(SIDE_BY_SIDE)

test: lint unit validate ## Lint, types, unit tests, doctests, then the notebooks against their stored outputs

lint: $(INSTALLED) ## Ruff (rules and format) and mypy
	@echo "== ruff check"
	@$(BIN)/ruff check
	@echo "== ruff format"
	@$(BIN)/ruff format --check
	@echo "== mypy"
	@$(BIN)/mypy

unit: $(INSTALLED) ## Unit tests, contract tests and doctests
	@echo "== pytest: unit tests and doctests"
	@MPLBACKEND=Agg OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(SIDE_BY_SIDE)

faults: $(INSTALLED) ## Kills, full disks, flipped bits, two runs at once, dead schedulers; LONG=1 tries many of each
	@echo "== pytest: faults"
	@MPLBACKEND=Agg OMP_NUM_THREADS=1 $(if $(LONG),FAULTS=long) $(BIN)/python -m pytest tests/faults -q \
		$(if $(LONG),tests/test_any_input.py --hypothesis-show-statistics) \
		-o addopts=--import-mode=importlib $(SIDE_BY_SIDE)

validate: $(INSTALLED) ## Execute the committed notebooks and compare with their stored outputs
	@echo "== nbval: notebooks against their stored outputs"
	@# A page has one kernel, so its cells stay in one process. The book is built from what is executed here.
	@OMP_NUM_THREADS=1 PYTHONPATH=tools $(BIN)/python -m pytest -p nbval_cache --nbval --nbval-current-env \
		--nbval-cell-timeout=600 -o addopts= -o testpaths= -q $(subst worksteal,loadfile,$(SIDE_BY_SIDE)) notebooks/*.ipynb

verify: $(INSTALLED) ## Recompute the first steps of what is stored of Table 1 and of Figures 6 to 10
	@# A core for each: they take about as long.
	@printf '%s\n' results 'market --steps 3' | OMP_NUM_THREADS=1 xargs -P 2 -L 1 $(BIN)/mfmgdm verify

format: $(INSTALLED) ## Put the Python files into their standard form
	@$(BIN)/ruff check --fix --extend-exclude '*.ipynb'
	@$(BIN)/ruff format

notebooks: $(INSTALLED) ## Execute the notebooks (those not just executed) and write the committed .ipynb
	@$(BIN)/python tools/execute_notebooks.py --write

lab: $(INSTALLED) ## Open JupyterLab on notebooks/ (the .ipynb with a double click; the .md with "Open With", "Notebook")
	@$(BIN)/jupyter lab notebooks

bench: $(INSTALLED) ## Benchmarks (nothing is timed in the tests)
	@MPLBACKEND=Agg $(BIN)/python -m pytest benchmarks -s \
		-o addopts= -o python_files='bench_*.py'

serve: $(SITE)/index.html ## Serve the built book on this machine
	@echo "http://localhost:$(PORT)/ (Ctrl-C stops)"
	@$(BIN)/python -m http.server --bind 127.0.0.1 --directory $(SITE) $(PORT)

# No prerequisites: only a missing site is built here.
$(SITE)/index.html:
	@$(MAKE) book

matrix: $(INSTALLED) ## Install the pinned packages for each Python found, and run the README's examples there
	@$(BIN)/python tools/check_matrix.py $(foreach p,3.11 3.12 3.13,$(shell python$(p) -c 'import sys; print(sys.executable)' 2>/dev/null))

# Every interpreter to resolve for, the oldest first; a newer Python, or one whose torch has CUDA, needs more packages.
LOCK_PYTHONS ?= $(BIN)/python $(foreach p,python3.12 python3.13,$(shell $(p) -c '' 2>/dev/null && echo $(p)))
lock: | $(BIN)/python ## Resolve pyproject.toml afresh into constraints.txt and environment.yml
	@$(BIN)/python tools/lock.py $(LOCK_PYTHONS)

venv: $(INSTALLED) ## Set up .venv only

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "No Python $(OLDEST) or newer on the PATH; name one: make PYTHON=/path/to/python"; exit 1; }
	@$(PYTHON) -c '$(RECENT_ENOUGH)' || { echo "$(PYTHON) is not Python $(OLDEST) or newer; name another: make PYTHON=..."; exit 1; }
	@$(PYTHON) -m venv --clear $(VENV)

$(INSTALLED): pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing the pinned packages into $(VENV) (the first time takes some minutes) ..."
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[book,cluster,dev,excel]'
	@# Kernels warn on every start that they talk to this machine unencrypted; notebooks have nothing to hide from it.
	@mkdir -p $(IPYTHONDIR)/profile_default
	@echo 'c.IPKernelApp.log_level = "ERROR"' > $(IPYTHONDIR)/profile_default/ipython_kernel_config.py
	@touch $@

clean: ## Remove what was built (the site, the execution cache, the caches of the tools)
	@rm -rf _build build .mypy_cache .ruff_cache .pytest_cache .benchmarks *.egg-info
	@find . -path ./$(VENV) -prune -o -name __pycache__ -type d -exec rm -rf {} +

distclean: clean ## Remove .venv too
	@rm -rf $(VENV)
