#!/bin/sh
# Train a small VLM from random weights: scenes, tasks, a random checkpoint, training in stages, evaluation. The
# same command continues an interrupted run. X3: the x3 command; OUT: output folder (about 20 GB); FEW, FLAT,
# ANYWHERE, PAIRS: numbers of composites; SCENES: number of rooms; HELD_OUT: number of other rooms for evaluation.
# See docs/training-a-tiny-model.md.
set -eu
X3=${X3:-x3}
OUT=${OUT:-runs/tiny}
FEW=${FEW:-3000}
FLAT=${FLAT:-2000}
ANYWHERE=${ANYWHERE:-2500}
PAIRS=${PAIRS:-2500}
SCENES=${SCENES:-1000}
HELD_OUT=${HELD_OUT:-100}
RECIPE=${RECIPE:-configs/x3_tiny.yaml}
say() { printf '\n== %s\n' "$1"; }

say "composites: $FEW with few shapes, $FLAT with more, $ANYWHERE that are mixed up, 3 x $PAIRS to match"
"$X3" composites "$OUT/few" --scenes "$FEW" --shapes 1 3 --seed 1
"$X3" composites "$OUT/flat" --scenes "$FLAT"
"$X3" composites "$OUT/flat" --split validation --scenes 60 --seed 9
"$X3" composites "$OUT/anywhere" --scenes "$ANYWHERE" --shapes 2 5 --radii 5 18 --anywhere --seed 3
"$X3" composites "$OUT/lone" --scenes "$PAIRS" --shapes 1 3 --radii 10 24 --anywhere --seed 5
"$X3" composites "$OUT/pair" --scenes "$PAIRS" --shapes 2 2 --radii 12 24 --anywhere --colours vivid --seed 11
"$X3" composites "$OUT/vivid" --scenes "$PAIRS" --shapes 2 5 --radii 6 20 --anywhere --colours vivid --seed 13
say "rooms: $SCENES to learn from, 24 to watch the training by, $HELD_OUT to be asked about at the end"
"$X3" scenes "$OUT/root" --fast --train "$SCENES" --validation 24 --objects 8
"$X3" crop "$OUT/root" -o "$OUT/nearest" --times 1.3 4 --seed 21 --splits train
"$X3" crop "$OUT/root" -o "$OUT/near" --times 2 10 --seed 22
"$X3" scenes "$OUT/held-out" --fast --train 0 --validation "$HELD_OUT" --seed 1000
say "tasks"
build() { # ROOT NAME OPTIONS
  root=$1 name=$2
  shift 2
  "$X3" build "$OUT/$root" -o "$OUT/tasks/$name" --emit-concat 0 "$@"
}
build flat solid --tasks t0 --alpha 1 --limit 6000
build few few --tasks t2b
build flat flat --tasks t0,t2b
build lone lone --tasks t1 --crop-reference 1 4
build pair pair --tasks t1 --mode allpairs --crop-reference 1 4
build vivid vivid --tasks t1 --mode allpairs --crop-reference 1 8
build anywhere anywhere --tasks t1 --mode allpairs --crop-reference 1 10
build root root --tasks t0,t1,t2b --splits train --mode allpairs
build root close --tasks t1 --splits train --mode allpairs --crop-reference 1.2 12
build nearest nearest --tasks t1 --mode allpairs --crop-reference 1 3
build near near --tasks t1 --splits train --mode allpairs --crop-reference 1 6
build near near-watched --tasks t1 --splits validation
build root watched --tasks t1,t2b --splits validation
"$X3" build "$OUT/held-out" -o "$OUT/tasks/held-out" --tasks t0,t1,t2a,t2b
if [ ! -f "$OUT/base/config.json" ]; then
  say "a random checkpoint"
  rm -rf "$OUT/base"  # half-written
  "$X3" model tiny "$OUT/base" --size trainable --no-depth
fi
say "training"
"$X3" recipe run "$RECIPE" --processes 2 --model-name-or-path "$OUT/base" --data-dir "$OUT/tasks" \
  --output-dir "$OUT/stages"
for model in "$OUT"/stages/*/; do last=${model%/}; done
say "held-out rooms"
for name in t0_val_marked t1_val_multi t1_val_concat t2a_val_multi t2b_val_multi; do
  "$X3" eval "$OUT/tasks/held-out/$name.json" -o "$OUT/results/$name.json" \
    --model "roborefer:$last" --batch-size 64 --max-new-tokens 20
done
echo "the model: $last"
