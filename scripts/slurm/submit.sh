#!/usr/bin/env bash
# Submit an array of shards, build or eval, and the merge that runs once all of them are done:
#
#   ROOT=/data/views OUT=/data/tasks SHARDS=16 bash scripts/slurm/submit.sh build [options of x3 build]
#
# SBATCH_PARTITION, SBATCH_ACCOUNT and the like are Slurm's own variables for the options of sbatch.
set -euo pipefail
KIND=${1:-}
HERE=$(cd "$(dirname "$0")" && pwd)
if [ "$KIND" != build ] && [ "$KIND" != eval ]; then
  echo "x3: submit.sh ${KIND:-(nothing)}: expected build or eval" >&2
  exit 2
fi
shift
export OUT=${OUT:?OUT: where the results go}
export SHARDS=${SHARDS:?SHARDS: the number of shards}

array=$(sbatch --parsable --export=ALL --array="1-$SHARDS" "$HERE/$KIND.sbatch" "$@")
array=${array%%;*} # "job;cluster" where there are several clusters
merge=$(sbatch --parsable --export=ALL --dependency="afterok:$array" --kill-on-invalid-dep=yes \
  "$HERE/merge.sbatch")
echo "shards 1 to $SHARDS: job $array; merge: job ${merge%%;*}"
