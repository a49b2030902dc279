# Every target works on a fresh machine with Python ≥ 3.11 and make; `make` alone lists them.

PYTHON ?= python3
BIN := .venv/bin
# Those that need other tools or servers are run by hand: they install gigabytes, or take many minutes.
BENCHMARKS := $(filter-out benchmarks/replay_%, $(shell grep -l __main__ benchmarks/*.py))

.DEFAULT_GOAL := help
SERVERS := tests/real_servers
VENVS ?= $(HOME)/.cache/groundswell-servers
export GROUNDSWELL_VLLM ?= $(VENVS)/vllm
export GROUNDSWELL_TRANSFORMERS ?= $(VENVS)/transformers
export GROUNDSWELL_DYNAMO ?= $(VENVS)/dynamo

.PHONY: help install demo test test-vllm test-servers check bench docs clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

install: .venv/ready  ## make .venv with the package in it, and compile its kernels

.venv/ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("groundswell needs Python 3.11 or newer; this is " + sys.version.split()[0] + "; say make PYTHON=...") if sys.version_info < (3, 11) else None'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "installing groundswell and what it needs into .venv ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[dev]"
	@$(BIN)/python -m groundswell.cli warm
	@touch $@

demo: install  ## ten minutes of traffic from an embedded population, and a page on what is in it, into demo/
	@mkdir -p demo
	$(BIN)/groundswell generate chat-large --clients 1000 --rate 100 --duration 10m --start 14h --seed 1 -o demo/workload.parquet
	$(BIN)/groundswell characterize demo/workload.parquet --html demo/report.html

test: install  ## the tests, three files at a time, as many of them wait for the clock
	OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 3 --dist loadfile  # threads of NumPy's would spin, waiting

test-vllm: install $(GROUNDSWELL_VLLM)/ready  ## the tests against vLLM on this processor (2.5 GB, two minutes to install)
	$(BIN)/python -m pytest -m vllm

test-servers: install $(GROUNDSWELL_TRANSFORMERS)/ready $(GROUNDSWELL_DYNAMO)/ready  ## the tests against transformers serve and Dynamo (2 GB)
	$(BIN)/python -m pytest -m servers

$(GROUNDSWELL_VLLM)/ready: $(SERVERS)/setup_vllm.sh
$(GROUNDSWELL_TRANSFORMERS)/ready: $(SERVERS)/setup_transformers.sh
$(GROUNDSWELL_DYNAMO)/ready: $(SERVERS)/setup_dynamo.sh
$(GROUNDSWELL_VLLM)/ready $(GROUNDSWELL_TRANSFORMERS)/ready $(GROUNDSWELL_DYNAMO)/ready:
	$< $(@D)
	@touch $@

check: install  ## lint, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: install  ## the measurements behind every figure in the docs; some need the public pools (GROUNDSWELL_DATA)
	@for b in $(BENCHMARKS); do echo "== $$b"; $(BIN)/python $$b || exit 1; done

docs: install  ## write docs/cli.md from the commands' own help, and the README's run from the command's output
	$(BIN)/python docs/write_cli.py
	$(BIN)/python docs/write_readme.py

clean:  ## remove what the targets made
	rm -rf .venv demo dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
