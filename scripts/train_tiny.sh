#!/bin/sh
# A small VLM from nothing: scenes, tasks, a random checkpoint, training in stages, its figures. The same
# command goes on where it was stopped. X3 is the x3 command, OUT where everything goes (about 4 GB), FLAT,
# SCENES and HELD_OUT how many composites and rooms to make; docs/training-a-tiny-model.md.
set -eu
X3=${X3:-x3}
OUT=${OUT:-runs/tiny}
FLAT=${FLAT:-3000}
SCENES=${SCENES:-1500}
HELD_OUT=${HELD_OUT:-40}
RECIPE=${RECIPE:-configs/x3_tiny.yaml}
say() { printf '\n== %s\n' "$1"; }

say "scenes: $FLAT composites and $SCENES rooms to learn from, $HELD_OUT other rooms to be asked about"
"$X3" scenes-flat "$OUT/flat" --scenes "$FLAT"
"$X3" scenes "$OUT/root" --fast --train "$SCENES" --validation "$HELD_OUT" --objects 8 --views 5
say "tasks, the marked image alone among them"
for root in flat root; do
  "$X3" build --data-root "$OUT/$root" --out-dir "$OUT/tasks/$root" --tasks t0,t1,t2a,t2b \
    --emit-concat 0
done
if [ ! -f "$OUT/base/config.json" ]; then
  say "a random checkpoint"
  rm -rf "$OUT/base"  # half-written
  "$X3" model tiny "$OUT/base" --size learner --no-depth
fi
say "training"
"$X3" recipe run "$RECIPE" --model-name-or-path "$OUT/base" --data-dir "$OUT/tasks" \
  --output-dir "$OUT/stages"
for model in "$OUT"/stages/*/; do last=${model%/}; done
say "held-out scenes"
for name in t0_val_marked t1_val_multi t2a_val_multi t2b_val_multi; do
  "$X3" eval --model "roborefer:$last" --data-json "$OUT/tasks/root/$name.json" \
    --output-json "$OUT/results/$name.json" --batch-size 64 --max-new-tokens 20
done
echo "the model: $last"
