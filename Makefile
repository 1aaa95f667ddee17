# demo · test · quick · lint · bench · docs · peers · gpu: the only commands a person must know.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
# A process a core, and one thread for BLAS, unless a test asks for more: BLAS's threads spin while they wait.
# What is compiled to bytecode is kept, whatever the shell says: tests start dozens of processes.
PYTEST := PYTHONDONTWRITEBYTECODE= OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest \
	--numprocesses auto --maxprocesses 4 --dist worksteal --durations 10

.PHONY: help demo test quick style lint bench docs peers sklearn-tests gpu clean

help:
	@echo "make demo    the lesson's task on every engine here, an HTML report in report/ (about 2 minutes)"
	@echo "make test    everything that must pass: pytest, ruff, mypy (installs the pinned development set; 5 minutes, 7 the first time)"
	@echo "make quick   ruff, and the tests of the interface, the problem and the solvers: after every edit (1 minute)"
	@echo "make lint    ruff and mypy alone"
	@echo "make bench   pytest-benchmark suites, JSON under bench/results/, a page in report/ (5 minutes; FULL=1: all)"
	@echo "make docs    a site of docs/ and of the docstrings, in site/, to be read from the disk (1 minute at first)"
	@echo "make peers   our fits beside other libraries', in .venv-peers (about 32 minutes; QUICK=1: about 8)"
	@echo "make sklearn-tests  scikit-learn's own tests with our classes in place: what passes, what differs, why (4 minutes)"
	@echo "make gpu     GPU tests and GPU benchmarks, with the python that is active (needs a CUDA device)"
	@echo "make clean   remove $(VENV), the report and caches"

# A stamp a set of packages: a changed pyproject.toml or constraints.txt installs again.
$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) install --quiet --constraint constraints.txt --editable '.[numba,lab]'
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@ $(VENV)/.demo

demo: $(VENV)/.demo
	$(BIN)/accel-logreg speedup --output report

style: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

lint: style
	$(BIN)/mypy

# mypy beside pytest; what it says stands at the end.
test: style
	@$(BIN)/mypy > $(VENV)/mypy.log 2>&1 & mypy=$$!; $(PYTEST); tests=$$?; \
		wait $$mypy; types=$$?; cat $(VENV)/mypy.log; [ $$tests$$types = 00 ]

quick: style
	$(PYTEST) -m 'not slow' tests/house tests/interface tests/problem tests/solvers tests/test_estimator.py

bench: $(VENV)/.dev
	$(BIN)/python -m bench.run $(if $(FULL),--full)

# In an environment of its own, so that the development set stays as small as it is.
.venv-docs/.installed: pyproject.toml constraints.txt constraints-docs.txt
	$(PYTHON) -m venv .venv-docs
	.venv-docs/bin/python -m pip --disable-pip-version-check install --quiet \
		--constraint constraints.txt --constraint constraints-docs.txt --editable '.[docs]'
	@touch $@

docs: .venv-docs/.installed
	NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --strict --quiet
	@echo "site/index.html"

# The peers need each other's versions, not ours: an environment of their own.
.venv-peers/.installed: pyproject.toml constraints.txt bench/peers/requirements.txt
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip --disable-pip-version-check install --quiet \
		--constraint constraints.txt --requirement bench/peers/requirements.txt --editable '.[numba,lab]'
	@touch $@

# adelie needs a NumPy of its own; where it cannot be installed the comparison says so and does without.
.venv-adelie/.installed: bench/peers/requirements-adelie.txt
	$(PYTHON) -m venv .venv-adelie
	.venv-adelie/bin/python -m pip --disable-pip-version-check install --quiet --requirement $<
	@touch $@

peers: .venv-peers/.installed
	-$(MAKE) .venv-adelie/.installed
	.venv-peers/bin/python -m bench.peers --plots report/peers $(if $(QUICK),--quick)

sklearn-tests: $(VENV)/.dev
	$(BIN)/python -m tests.in_scikit_learn --numprocesses auto --maxprocesses 4

gpu:
	PYTHONPATH=. $(PYTHON) -m pytest -m gpu --require-gpu
	PYTHONPATH=. $(PYTHON) -m bench.run --gpu

clean:
	rm -rf $(VENV) .venv-peers .venv-adelie .venv-docs report site .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
