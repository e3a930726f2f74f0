# `make demo` and `make test` only need Python 3.11+ and make. Everything is installed into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# pip selects the CPU build of torch if there is one; the lock file pins every version.
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

DEMO ?= demo

TINY ?= runs/tiny

MINUTES ?= 60

# Processes of `make test`.
JOBS ?= 2

# A clone of https://github.com/open-compass/VLMEvalKit, which is on no index.
VLMEVALKIT ?=

# A clone of https://github.com/Zhoues/RoboRefer, and the checkpoints to check (default: one of every kind).
ROBOREFER ?=
CHECKPOINTS ?=

# Cells of `make check-versions`, of those that `scripts/check_versions.py --list` names (default: all).
CELLS ?=

.PHONY: help demo demo-vlm demo-sft tiny test test-gpu test-slow test-browser campaign fuzz lint format bench \
  web check-web check-fullsize check-slurm check-roborefer check-lmms-eval check-inspect check-vlmevalkit \
  check-llamafactory check-ms-swift check-refspatial check-croissant check-versions test-scans test-ray \
  clone-of-roborefer clone-of-vlmevalkit site site-serve release check-release licences clean

help:
	@echo "make demo       install, render scenes, build, evaluate the baselines, print the summary"
	@echo "make demo-vlm   evaluate x3-tiny, the VLM in the package, and the baselines on small rooms"
	@echo "make demo-sft   fine-tune x3-tiny on rooms by night, compare before and after"
	@echo "make test       install everything, lint, type-check, run the tests in JOBS=2 processes"
	@echo "make test-slow  run the slow tests"
	@echo "make check-slurm  check the files of scripts/slurm (shellcheck) and run them with stand-ins for Slurm"
	@echo "make test-gpu   run the tests that need a CUDA device (BIN=folder of a python whose torch has CUDA)"
	@echo "make test-ray   run the tests on Ray clusters of two nodes on this machine (installs Ray)"
	@echo "make test-browser  run the tests of the pages (Chromium; npm for axe-core)"
	@echo "make web        build the pages into the package (npm); check-web compares what is committed with it"
	@echo "make campaign   kills, full disks, bad inputs, faulty servers against every command, for MINUTES=60"
	@echo "make fuzz      mutated files against every reader (atheris, Linux), for MINUTES=60"
	@echo "make release    check, test and build what is published: wheel, sdist, SBOM (after scripts/release.py date)"
	@echo "make check-release  a release in a clone that is thrown away; make licences: docs/third-party-licences.md"
	@echo "make bench      run the benchmarks, one JSON line each"
	@echo "make check-fullsize  write, load and ask a random 2B checkpoint (6 GB of disk, 12 GB of memory)"
	@echo "make check-roborefer ROBOREFER=CLONE  compare RoboRefer's own code with ours on checkpoints written here"
	@echo "make check-lmms-eval, check-inspect  run our exports in the real harness, in an environment of its own"
	@echo "make check-vlmevalkit VLMEVALKIT=CLONE  the same for VLMEvalKit (about 8 GB of packages)"
	@echo "make check-llamafactory, check-ms-swift  one training step of the real trainer on our exports"
	@echo "make check-refspatial ROBOREFER=CLONE  RoboRefer's own evaluation on our export for RefSpatial-Bench"
	@echo "make check-croissant  read the Croissant metadata of an export with its reference implementation"
	@echo "make check-versions  the fast tests with the oldest and the newest versions of what we depend on"
	@echo "make tiny       train a small VLM from random weights on synthetic scenes: about 4.5 hours on two cores"
	@echo "make site       build the documentation into the folder site; site-serve shows it while pages are edited"
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

# A file's tests share fixtures, so they stay together.
test: lint
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile
	@if [ -z "$$(git status --porcelain 2>&1)" ]; then mkdir -p .stamps && git rev-parse HEAD > .stamps/tested; fi

# What a maintainer runs after `scripts/release.py date` and a commit. It neither pushes nor uploads.
$(VENV)-release/.created: requirements/release.txt
	$(PYTHON) -m venv $(VENV)-release
	$(VENV)-release/bin/python -m pip --disable-pip-version-check --quiet install --requirement $<
	@touch $@

release: $(VENV)-release/.created
	$(VENV)-release/bin/python scripts/release.py build

# A release in a clone that is thrown away, with the tools that `make release` installs.
check-release: $(VENV)/.dev $(VENV)-release/.created
	X3_PEER_RELEASE=$(abspath $(VENV)-release)/bin/python $(BIN)/python -m pytest -m peer -rs tests/releasing/test_release.py

# All that users can install, at the pinned versions, and nothing of ours for developers.
EXTRAS = $(shell $(PYTHON) -c 'import tomllib; e = tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]; print(",".join(sorted(set(e) - {"dev", "docs", "browser"})))' 2>/dev/null)

$(VENV)-licences/.created: pyproject.toml requirements/constraints.txt
	$(PYTHON) -m venv $(VENV)-licences
	$(VENV)-licences/bin/python -m pip --disable-pip-version-check --quiet install --constraint requirements/constraints.txt '.[$(EXTRAS)]'
	@touch $@

licences: $(VENV)-licences/.created $(VENV)-release/.created
	$(VENV)-release/bin/python scripts/make_licences.py $(VENV)-licences/bin/python

# The browser is the machine's own: `apt install chromium`, or CHROMIUM=PATH.
$(VENV)/.browser: $(VENV)/.dev
	$(PIP) install --constraint requirements/constraints.txt --editable '.[browser]'
	@touch $@

web/node_modules/.package-lock.json: web/package.json web/package-lock.json
	cd web && npm ci --ignore-scripts

test-browser: $(VENV)/.browser web/node_modules/.package-lock.json
	$(BIN)/python -m pytest -m browser -rs

ASSETS := src/x3spatial/reports/web/assets

web: web/node_modules/.package-lock.json
	cd web && npm run --silent check && npm run --silent build

check-web: web/node_modules/.package-lock.json
	cd web && npm run --silent check && node build.mjs ../build/web-check && cd .. && diff -r build/web-check $(ASSETS)

# Material prints an advertisement of its successor otherwise.
site site-serve: export NO_MKDOCS_2_WARNING = 1

site: $(VENV)/.dev
	$(BIN)/mkdocs build --strict --site-dir $@
	@echo "open site/index.html"

site-serve: $(VENV)/.dev
	$(BIN)/mkdocs serve --strict

test-slow: $(VENV)/.dev
	$(BIN)/python -m pytest -m slow

# shellcheck is the machine's own: `apt install shellcheck`.
check-slurm: $(VENV)/.dev
	$(BIN)/python -m pytest -m "" -rs tests/slurm

# The constraints pin a CPU build of torch, so an environment with CUDA is the user's own.
test-gpu:
	$(BIN)/python -m pytest -m gpu -rs

$(VENV)/.ray: $(VENV)/.dev
	$(PIP) install --constraint requirements/constraints.txt --editable '.[ray]'
	@touch $@

test-ray: $(VENV)/.ray
	$(BIN)/python -m pytest -m ray -rs

# BIN: a Python environment with x3spatial[scans] and pytest. dash, which Open3D brings, has a plugin of pytest.
test-scans:
	$(BIN)/python -m pytest -p no:dash -rs tests/importers/test_zoo.py

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

# scale.py takes minutes and 5 GB. report_page.py needs a browser: make test-browser first.
bench: $(VENV)/.dev
	@for script in $(filter-out $(addprefix benchmarks/,engine_overhead.py fullsize.py gpu.py hard_sets.py report_page.py scale.py),$(wildcard benchmarks/*.py)); do \
	  $(BIN)/python $$script || exit 1; done

check-fullsize: $(VENV)/.dev
	$(BIN)/python benchmarks/fullsize.py

# An environment of its own: RoboRefer pins transformers 4.49.
$(VENV)-roborefer/.created: requirements/roborefer.txt
	$(PYTHON) -m venv $(VENV)-roborefer
	$(VENV)-roborefer/bin/python -m pip --disable-pip-version-check --quiet install --requirement $<
	@touch $@

# Before anything is installed: whether the clone that a target needs is there.
clone-of-roborefer:
	@test -f "$(ROBOREFER)/llava/entry.py" || { echo "ROBOREFER=$(ROBOREFER): name a clone of https://github.com/Zhoues/RoboRefer"; exit 2; }

clone-of-vlmevalkit:
	@test -f "$(VLMEVALKIT)/run.py" || { echo "VLMEVALKIT=$(VLMEVALKIT): name a clone of https://github.com/open-compass/VLMEvalKit"; exit 2; }

check-roborefer: clone-of-roborefer $(VENV)/.train $(VENV)-roborefer/.created
	$(BIN)/python scripts/check_roborefer.py --roborefer $(ROBOREFER) \
	  --python $(VENV)-roborefer/bin/python $(CHECKPOINTS)

# Harnesses and trainers pin other versions of shared packages, so each has an environment of its own. The file
# `no-deps` lists packages whose declared requirements contradict each other or bring what is not used.
PEER_CORE := isal numpy opencv-python-headless pillow rich typer
PEER_PIP = $(@D)/bin/python -m pip --disable-pip-version-check --quiet install

.SECONDEXPANSION:
$(VENV)-peers/%/.created: requirements/peers/%.txt $$(wildcard requirements/peers/$$*.no-deps.txt)
	$(PYTHON) -m venv $(@D)
	$(PEER_PIP) --requirement $< $(PEER_CORE)
	$(if $(word 2,$^),$(PEER_PIP) --no-deps --requirement $(word 2,$^))
	@touch $@

# The CPU build of torch has no torchvision that fits, and these exports need none.
check-lmms-eval: $(VENV)/.dev $(VENV)-peers/lmms-eval/.created
	$(VENV)-peers/lmms-eval/bin/python -m pip --quiet uninstall --yes torchvision
	X3_PEER_LMMS_EVAL=$(abspath $(VENV)-peers)/lmms-eval/bin/python $(BIN)/python -m pytest -m peer -rs -k lmms-eval

check-vlmevalkit: clone-of-vlmevalkit $(VENV)/.dev $(VENV)-peers/vlmevalkit/.created
	VLMEVALKIT=$(abspath $(VLMEVALKIT)) X3_PEER_VLMEVALKIT=$(abspath $(VENV)-peers)/vlmevalkit/bin/python \
	  $(BIN)/python -m pytest -m peer -rs -k vlmevalkit

check-inspect: PEER_TESTS := -k inspect
check-llamafactory: PEER_TESTS := tests/peers/test_trainers.py -k sharegpt
check-ms-swift: PEER_TESTS := tests/peers/test_trainers.py -k ms-swift
check-croissant: PEER_TESTS := tests/peers/test_croissant.py

check-inspect check-llamafactory check-ms-swift check-croissant: check-%: $(VENV)/.dev $(VENV)-peers/%/.created
	X3_PEER_$(shell echo $* | tr a-z- A-Z_)=$(abspath $(VENV)-peers)/$*/bin/python $(BIN)/python -m pytest -m peer -rs $(PEER_TESTS)

check-refspatial: clone-of-roborefer $(VENV)/.dev
	ROBOREFER=$(abspath $(ROBOREFER)) $(BIN)/python -m pytest -m peer -rs tests/peers/test_refspatial.py

check-versions:
	$(PYTHON) scripts/check_versions.py $(CELLS)

clean:
	rm -rf $(VENV) $(VENV)-release $(VENV)-licences $(VENV)-roborefer $(VENV)-peers $(VENV)-versions \
	  site $(DEMO) $(DEMO)-vlm $(DEMO)-sft
