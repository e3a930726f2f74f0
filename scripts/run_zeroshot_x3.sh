#!/usr/bin/env bash
# Zero-shot evaluation of the four validation sets: build if needed, evaluate, print the summary.
#
#   DATA_ROOT_X3=/data/views bash scripts/run_zeroshot_x3.sh [more options of x3 zeroshot]
#
# From the environment: DATA_ROOT_X3 (the views), OUT_DIR (task files), EVAL_DIR (results), MODEL
# (KIND[:ARG], or a checkpoint folder), PYTHON (the interpreter that has x3spatial's dependencies).
set -euo pipefail
cd "$(dirname "$0")/.."
if [ -z "${PYTHON:-}" ]; then
  if [ -x .venv/bin/python ]; then PYTHON=.venv/bin/python; else PYTHON=python3; fi
fi
export PYTHONPATH="$PWD/src${PYTHONPATH:+:$PYTHONPATH}"
exec "$PYTHON" -m x3spatial zeroshot "$@"
