# `make demo` and `make test` only need Python 3.11+ and make. Everything is installed into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# pip selects the CPU build of torch if there is one; the lock file pins every version.
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

DEMO ?= demo

TINY ?= runs/tiny

MINUTES ?= 60

# A clone of https://github.com/Zhoues/RoboRefer, and the checkpoints to check (default: one of every kind).
ROBOREFER ?=
CHECKPOINTS ?=

.PHONY: help demo demo-vlm demo-sft tiny test test-gpu test-slow campaign fuzz lint format bench check-fullsize \
  check-roborefer clean

help:
	@echo "make demo       install, render scenes, build, evaluate the baselines, print the summary"
	@echo "make demo-vlm   evaluate x3-tiny, the VLM in the package, and the baselines on small rooms"
	@echo "make demo-sft   fine-tune x3-tiny on rooms by night, compare before and after"
	@echo "make test       install everything, lint, type-check, run the tests"
	@echo "make test-slow  run the slow tests"
	@echo "make test-gpu   run the tests that need a CUDA device (BIN=folder of a python whose torch has CUDA)"
	@echo "make campaign   kills, full disks, bad inputs, faulty servers against every command, for MINUTES=60"
	@echo "make fuzz      mutated files against every reader (atheris, Linux), for MINUTES=60"
	@echo "make bench      run the benchmarks, one JSON line each"
	@echo "make check-fullsize  write, load and ask a random 2B checkpoint (6 GB of disk, 12 GB of memory)"
	@echo "make check-roborefer ROBOREFER=CLONE  compare RoboRefer's own code with ours on checkpoints written here"
	@echo "make tiny       train a small VLM from random weights on synthetic scenes: about 4.5 hours on two cores"
	@echo "make lint       run ruff, mypy (also on the tests) and import-linter"
	@echo "make format     format the code and apply ruff's fixes"
	@echo "make clean      remove .venv and the demo"

$(VENV)/.created:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "x3spatial needs Python 3.11 or newer: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.render: $(VENV)/.created pyproject.toml requirements/constraints.txt
	$(PIP) install --constraint requirements/constraints.txt --editable '.[render]'
	@touch $@

$(VENV)/.dev: $(VENV)/.render requirements/constraints.txt
	$(PIP) install --constraint requirements/constraints.txt --editable '.[dev]'
	@touch $@

# The extra of `make demo-sft` includes that of `make demo-vlm`.
$(VENV)/.train: $(VENV)/.render
	$(PIP) install --constraint requirements/constraints.txt --editable '.[train]'
	@touch $@

demo: $(VENV)/.render
	X3=$(BIN)/x3 OUT=$(DEMO) sh scripts/demo.sh

demo-vlm: $(VENV)/.train
	X3=$(BIN)/x3 OUT=$(DEMO)-vlm sh scripts/demo_vlm.sh

demo-sft: $(VENV)/.train
	X3=$(BIN)/x3 OUT=$(DEMO)-sft sh scripts/demo_sft.sh

tiny: $(VENV)/.dev
	X3=$(BIN)/x3 OUT=$(TINY) sh scripts/train_tiny.sh

test: lint
	$(BIN)/python -m pytest

test-slow: $(VENV)/.dev
	$(BIN)/python -m pytest -m slow

# The constraints pin a CPU build of torch, so an environment with CUDA is the user's own.
test-gpu:
	$(BIN)/python -m pytest -m gpu -rs

campaign: $(VENV)/.dev
	PYTHONPATH=src:tests $(BIN)/python -m campaign --minutes $(MINUTES)

$(VENV)/.fuzz: $(VENV)/.dev
	$(PIP) install --constraint requirements/constraints.txt atheris
	@touch $@

fuzz: $(VENV)/.fuzz
	PYTHONPATH=src:tests $(BIN)/python -m fuzzing --minutes $(MINUTES)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.dev
	@for script in $(filter-out benchmarks/fullsize.py benchmarks/gpu.py benchmarks/hard_sets.py,$(wildcard benchmarks/*.py)); do \
	  $(BIN)/python $$script || exit 1; done

check-fullsize: $(VENV)/.dev
	$(BIN)/python benchmarks/fullsize.py

# An environment of its own: RoboRefer pins transformers 4.49.
$(VENV)-roborefer/.created: requirements/roborefer.txt
	$(PYTHON) -m venv $(VENV)-roborefer
	$(VENV)-roborefer/bin/python -m pip --disable-pip-version-check --quiet install --requirement $<
	@touch $@

check-roborefer: $(VENV)/.train $(VENV)-roborefer/.created
	@test -n "$(ROBOREFER)" || { echo "name a clone of https://github.com/Zhoues/RoboRefer: make $@ ROBOREFER=PATH"; exit 2; }
	$(BIN)/python scripts/check_roborefer.py --roborefer $(ROBOREFER) \
	  --python $(VENV)-roborefer/bin/python $(CHECKPOINTS)

clean:
	rm -rf $(VENV) $(VENV)-roborefer $(DEMO) $(DEMO)-vlm $(DEMO)-sft
