# make demo: the whole thing, on this machine alone. make test, make check, make bench: see CONTRIBUTING.md.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
LOCKER := $(VENV)-lock

.PHONY: demo test check bench soak peers mutants browser container screenshots release-check lock clean

demo: $(READY)
	@$(BIN)/gapless demo $(ARGS)

# Bytecode is kept whatever the environment says, since the tests start a thousand processes. Five
# workers, so that two processors are in use while some tests wait.
test: export PYTHONDONTWRITEBYTECODE =
test: $(READY)
	$(BIN)/python -m pytest -n 5 --dist worksteal $(ARGS)

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tests.house --check

bench: $(READY)
	$(BIN)/python -m tests.bench $(ARGS)

soak: $(READY)
	$(BIN)/python -m tests.soak $(ARGS)

peers: $(READY)
	$(BIN)/python -m tests.peers $(ARGS)

browser: $(READY)
	$(BIN)/python -m tests.browser $(ARGS)

mutants: $(READY)
	$(BIN)/python -m tests.mutants.table $(ARGS)

container: $(READY)
	$(BIN)/python -m tests.support.container_image $(ARGS)

screenshots: $(READY)
	$(BIN)/python -m screenshots.build

release-check: $(READY)
	$(BIN)/python -m release.check $(ARGS)

# Two steps, since pip can't check hashes and install an editable project at once.
$(READY): pyproject.toml requirements/all.txt
	@$(PYTHON) -c 'import sys; sys.exit("gapless needs Python 3.11 or newer: make PYTHON=python3.11" if sys.version_info < (3, 11) else 0)'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing $$(grep -c == requirements/all.txt) pinned packages into $(VENV), once; this takes a minute or more ..."
	@rm -f $@.failed; { $(BIN)/python -m pip install --no-color --progress-bar off --disable-pip-version-check \
		--require-hashes -r requirements/all.txt || touch $@.failed; } | awk -v all="$$(grep -c == requirements/all.txt)" '\
		/^Collecting / { n++; if (n % 20 == 0) print "  " n " of " all " packages fetched" } \
		/^Installing collected packages/ { print "  all fetched; unpacking them ..." } { fflush() }'; \
		! test -e $@.failed || { rm -f $@.failed; exit 1; }
	@echo "  compiling, so that every start is fast ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@$(BIN)/python -m compileall -q wire common forwarder tui simulator gapless
	@touch $@
	@echo "installed; the next start needs none of this, and a demo begins within seconds"

# Renews the pins from pyproject.toml, with pip-tools in an environment of its own.
lock:
	@$(PYTHON) -m venv $(LOCKER)
	@$(LOCKER)/bin/python -m pip install --quiet --disable-pip-version-check --upgrade pip pip-tools
	$(LOCKER)/bin/python -m piptools compile --quiet --generate-hashes --allow-unsafe --strip-extras --extra dev --extra all \
		--build-deps-for editable --no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
		--no-header --output-file requirements/all.txt pyproject.toml
	$(LOCKER)/bin/python -m piptools compile --quiet --generate-hashes --allow-unsafe --strip-extras --extra postgresql \
		--build-deps-for wheel --constraint requirements/all.txt --no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
		--no-header --output-file requirements/forwarder.txt pyproject.toml
	@rm -rf $(LOCKER)

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
