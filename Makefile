# What one does with Limen. `make` lists the commands; tools/bootstrap.py sees to what they need.
#
#   PYTHON=python3.13 make test    takes another Python than the first that is new enough

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
            $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
ifeq ($(strip $(PYTHON)),)
$(error Limen needs Python 3.11 or later, and none is on the PATH. On Debian or Ubuntu: sudo apt-get install python3)
endif

BIN  := .venv/bin
NEED := @$(PYTHON) tools/bootstrap.py
PORT ?= 9000
HOST ?= 127.0.0.1

# Where it is set, each of the hundreds of processes that the tests start compiles all of Limen and what it stands on.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo whiteboard ready test lint soak bench browser image pins clean

help: ## this list
	@$(PYTHON) tools/commands.py $(MAKEFILE_LIST)

demo: ## the todo example on http://localhost:9000, with an SQLite file
	$(NEED) runtime browser
	@echo "Log in as ada with the password lovelace (in a second window as grace with hopper). Ctrl-C stops the server."
	@exec $(BIN)/limen serve examples/todo/app.py --dev --host $(HOST) --port $(PORT) --db sqlite:///examples/todo/todo.db

whiteboard: ## the whiteboard example: browser windows and a Python process on one live tree
	$(NEED) runtime browser
	@exec $(BIN)/python examples/whiteboard $(PORT)

ready: # what test and lint need, for those who run them beside each other
	$(NEED) runtime browser test lint chromium fronts crossbar

test: ## every test of both languages
	$(NEED) runtime browser test chromium fronts crossbar
	@$(BIN)/python tools/test.py $(ARGS)

lint: ## what reads without running: ruff, mypy, tsc, the floors
	$(NEED) runtime browser test lint
	@$(BIN)/python tools/lint.py

soak: ## durability by the hundred, on both engines, and the wire: storms, fuzzing, Autobahn's testsuite; ARGS="sqlite --kills 20" or ARGS=wire for less
	$(NEED) runtime browser test soak
	@$(BIN)/python tools/soak.py $(ARGS)

bench: ## what Limen costs beside its peers, in the same run; ONLY=http for one topic
	$(NEED) runtime browser test
	@$(BIN)/python -m benchmarks $(ONLY)

browser: ## the browser's files anew, after a change in js/
	$(NEED) runtime browser

image: ## the pictures in docs/images/, from the running examples
	$(NEED) runtime browser test chromium
	@$(BIN)/python tools/screenshot.py

pins: ## requirements/*.txt from pyproject.toml; UPGRADE=--upgrade for newer versions (needs uv)
	@$(PYTHON) tools/pins.py $(UPGRADE)

clean: ## removes what these commands made
	rm -rf .venv .cache node_modules src/limen/browser build dist examples/todo/todo.db*
