#!/bin/sh
# Evaluate a VLM and the baselines without any download: make demo-vlm. x3-tiny is part of the package and was
# trained on other rooms of this kind (docs/training-a-tiny-model.md). X3: the x3 command; OUT: output folder.
set -eu
X3=${X3:-x3}
OUT=${OUT:-demo-vlm}
say() { printf '\n== %s\n' "$1"; }

say "scenes: small rooms that the model was not trained on"
"$X3" scenes "$OUT/root" --fast --train 0 --validation 20 --seed 77
say "zeroshot: the tasks, a VLM, and what needs no model"
"$X3" zeroshot "$OUT/root" -o "$OUT/results" --tasks-dir "$OUT/tasks" \
  --model roborefer:x3-tiny --model sift --model pixel-diff --model oracle --batch-size 32
say "preview: its answers"
for name in t1_val_multi t2b_val_multi; do
  "$X3" preview "$OUT/tasks/$name.json" --results "$OUT/results/x3-tiny/$name.json" \
    -o "$OUT/preview_$name.png" --limit 8 --sort outcome
done

cat <<END

== done; where to look
  $OUT/preview_*.png        the answers of the model, right and wrong in proportion
  $OUT/results              results per model and set, summary.json
Next: fine-tune it: make demo-sft
END
