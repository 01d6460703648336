# Five commands, each of them enough on a fresh Debian or Ubuntu machine that has
# git, make, python3 (3.11 or newer) and python3-venv. The first one sets up.

PYTHON ?= python3
ROOT ?= data
PORT ?= 3000
LIBRARIES := libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0
KEY := $(shell cat requirements.lock pyproject.toml | sha256sum | cut -c1-16)
READY := .venv/ready-$(KEY)
PIP := .venv/bin/python -m pip --disable-pip-version-check --quiet

.PHONY: demo test lint bench dev setup libraries

demo: setup  ## bill, post, render and publish three months of sample data in $(ROOT)/
	.venv/bin/fairbill --root $(ROOT) demo

test: setup  ## all tests but the slow ones
	.venv/bin/python -m pytest -q -n 2

lint: setup
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/sqlfluff lint --disable-progress-bar sql

bench: setup  ## the figures that the README promises, measured on this machine
	.venv/bin/python -m tests.bench

dev: setup  ## Dagster's pages on the data root $(ROOT)/, on port $(PORT)
	.venv/bin/fairbill init $(ROOT) >/dev/null
	VIRTUAL_ENV=$(abspath .venv) DAGSTER_DISABLE_TELEMETRY=1 \
	FAIRBILL_ROOT=$(abspath $(ROOT)) DAGSTER_HOME=$(abspath $(ROOT))/dagster .venv/bin/dg dev --port $(PORT)

setup: libraries $(READY)

# The page renderer loads these at run time. Without the last one it is five times
# slower and does not say so, which is why all three are looked for each time.
libraries:
	@$(PYTHON) -c 'import ctypes; [ctypes.CDLL(n) for n in ("libpango-1.0.so.0", "libpangoft2-1.0.so.0", "libharfbuzz-subset.so.0")]' 2>/dev/null \
	|| if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "installing $(LIBRARIES)"; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
		apt-get install -y -qq --no-install-recommends $(LIBRARIES) >/dev/null; \
	else \
		echo "Libraries that draw the pages are missing. Install them, then run make again:"; \
		echo "  sudo apt-get install -y $(LIBRARIES)"; \
		exit 1; \
	fi

# What is installed is exactly the lock, by hash; a change of the lock installs again.
$(READY):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	|| { echo "Python 3.11 or newer is needed; name one: make PYTHON=python3.12"; exit 1; }
	@echo "setting up .venv from requirements.lock (a few minutes, once)"
	@$(PYTHON) -m venv .venv \
	|| { echo "Install venv, then run make again:"; echo "  sudo apt-get install -y python3-venv"; exit 1; }
	$(PIP) install --require-hashes -r requirements.lock
	$(PIP) install --no-deps --no-build-isolation --editable .
	@rm -f .venv/ready-* && touch $@
