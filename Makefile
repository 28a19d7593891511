# make demo    the app, on the weights that ship with it: http://127.0.0.1:7860
# make test    everything that must hold before a change is merged
# make clean   take away what the two made
#
# Both make their own virtual environment. Another interpreter or place: make test PYTHON=python3.12 VENV=/elsewhere

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
CODE := app.py demo vq tests benchmarks

.PHONY: demo test clean

demo: $(VENV)/.demo-installed
	$(BIN)/python app.py

test: $(VENV)/.test-installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy $(CODE)
	$(BIN)/python -m pytest

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis build *.egg-info
	find $(CODE) -name __pycache__ -type d -prune -exec rm -rf {} +

# The marks are newer than the requirement files once these are installed; a changed file installs again.
$(VENV)/.demo-installed: requirements.txt | $(BIN)/python
	$(PIP) install -r requirements.txt
	@touch $@

$(VENV)/.test-installed: requirements.txt requirements-dev.txt | $(BIN)/python
	$(PIP) install -r requirements-dev.txt
	@touch $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)
