# Two commands set everything up: `make demo` and `make test`. Both need Python 3.11+ and a package index.

# The first interpreter that runs and is new enough: a name on the PATH may be a shim that fails.
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11 python; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $$python && break; done)
BIN := .venv/bin

# Small nets are faster on one thread; two threads that wait for each other are slower than one.
export OMP_NUM_THREADS ?= 1
export UV_FIND_LINKS ?= $(PIP_FIND_LINKS)
export UV_COMPILE_BYTECODE := 1
# Tests are compiled once, not anew by each of the processes that run them.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test test-slow soak test-lowest lint docs tutorials ledger constraints clean

demo: .venv/installed
	$(BIN)/pushforward train wae-mmd digits
	@echo "To use the command by itself: . .venv/bin/activate"
	@echo "Then, for example: pushforward report runs/wae-mmd-digits, or pushforward train vae YOUR_IMAGES/"

# A file's tests share what they train, so that a file goes to one process as a whole. Files are begun in their
# order, which leaves small ones for the end; by the number of their tests the longest would come last.
PYTEST := pytest -n 2 --dist loadfile --no-loadscope-reorder

# TESTS chooses others than the fast ones: CI gives -m "not soak", so that the slow tests run in one session with
# the others, with what those have imported and trained.
test: .venv/installed-test lint
	$(BIN)/$(PYTEST) $(TESTS)

# What `make test` leaves out because it takes long.
test-slow: .venv/installed-all
	$(BIN)/$(PYTEST) -m slow

# All that is in docs/reliability.md: every fault at every file operation, and 1,000 inputs of each kind of file.
soak: .venv/installed-test
	PUSHFORWARD_SOAK=1 $(BIN)/$(PYTEST) -m "soak or not soak" --timeout 3600 \
		tests/faults tests/fuzz tests/laws/test_conformance.py tests/distributed

# What `make test` runs, with the lowest versions that pyproject.toml promises (torch comes with its CUDA
# libraries, 3 GB to fetch). Old releases may warn of what newer ones of others have deprecated.
test-lowest: .venv-lowest/installed
	.venv-lowest/bin/$(PYTEST) -W ignore::DeprecationWarning $(TESTS)

lint: .venv/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo --no-cache
	$(BIN)/mypy

# The documentation site, in docs/_build/html/index.html: no network is needed to build or to read it.
docs: .venv/installed-all
	$(BIN)/python docs/_ext/llms.py
	$(BIN)/python -m sphinx -W --keep-going -n -q -b html docs docs/_build/html

# Notebooks of docs/tutorials, run in full: all, or those named in TUTORIALS.
tutorials: .venv/installed-all
	$(BIN)/python docs/_ext/tutorials.py $(TUTORIALS)

# All tables of docs/results, from the data in DATA: a matter of hours on two idle cores.
ledger: .venv/installed-test
	$(BIN)/python -m benchmarks.throughput --threads 2
	$(BIN)/python -m benchmarks.metrics --threads 2
	$(BIN)/python -m benchmarks.doctor --out runs/ledger/doctor
	$(BIN)/python -m benchmarks.latent --data-dir $(DATA) --out runs/ledger/latent
	$(BIN)/python -m benchmarks.data_space --data-dir $(DATA) --out runs/ledger/data-space
	$(BIN)/python -m benchmarks.text --data-dir $(DATA) --out runs/ledger/text
	$(BIN)/python -m benchmarks.translator --data-dir $(DATA)
	$(BIN)/pushforward compare ae vae wae-mmd wae-gan --data mnist --seeds 0 1 2 --steps 6000 --threads 1 \
		--data-dir $(DATA) --out runs/ledger/compare
	OMP_NUM_THREADS=2 $(BIN)/python -m benchmarks.mnist --data-dir $(DATA) --out runs/ledger/mnist

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "error: Python 3.11 or newer is needed and was not found" >&2; exit 1; }
	$(PYTHON) -m venv .venv

# uv installs several times faster; pip does where uv cannot be had.
install = $(BIN)/python -m pip install --quiet uv 2>/dev/null && \
	$(BIN)/uv pip install --quiet --python $(BIN)/python -c constraints.txt -e '$(1)' || \
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '$(1)'

.venv/installed: .venv/bin/python pyproject.toml constraints.txt
	$(call install,.)
	@touch $@

.venv/installed-test: .venv/bin/python pyproject.toml constraints.txt
	$(call install,.[test])
	@touch .venv/installed $@

# Extras stand in a variable: make would take their commas for those between arguments.
all := .[test,docs,release]

.venv/installed-all: .venv/bin/python pyproject.toml constraints.txt
	$(call install,$(all))
	@touch .venv/installed .venv/installed-test $@

.venv-lowest/installed: .venv/installed-test
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv venv --quiet --clear --python 3.11 .venv-lowest
	$(BIN)/uv pip install --quiet --python .venv-lowest/bin/python --resolution lowest-direct -e '.[test]'
	@touch $@

# Pins for all platforms; what only a CUDA build needs is left to that build.
constraints: .venv/installed
	printf 'torch==2.13.0\n' > .venv/torch.txt
	{ echo "# What is installed for development, so that today's install is next year's. Made by \`make constraints\`."; \
	$(BIN)/uv pip compile --quiet --universal --no-header --no-annotate --python-version 3.11 --extra test --extra docs --extra release \
		-c .venv/torch.txt pyproject.toml | grep -Ev '^(nvidia|cuda|triton|torch=)' ; echo 'torch==2.13.0'; } > .venv/pins.txt
	mv .venv/pins.txt constraints.txt

clean:
	rm -rf .venv .venv-lowest runs
