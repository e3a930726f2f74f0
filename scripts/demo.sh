#!/bin/sh
# Zero-shot evaluation of the baselines on synthetic scenes: make demo. X3: the x3 command; OUT: output folder.
set -eu
X3=${X3:-x3}
OUT=${OUT:-demo}
say() { printf '\n== %s\n' "$1"; }

say "scenes: synthetic rooms, every object also really removed"
"$X3" scenes "$OUT/root" --train 2 --validation 2
say "audit: is the data root sound?"
"$X3" audit "$OUT/root"
say "zeroshot: build the tasks and evaluate the baselines that need no model"
"$X3" zeroshot "$OUT/root" -o "$OUT/results" --tasks-dir "$OUT/tasks" \
  --model oracle --model sift --model pixel-diff --model centre --model always-not-visible
say "preview: samples as a model sees them"
"$X3" preview "$OUT/tasks/t1_val_multi.json" --results "$OUT/results/sift/t1_val_multi.json" \
  -o "$OUT/preview_t1_multi.png" --limit 8 --sort outcome
"$X3" preview "$OUT/tasks/t1_val_concat.json" --results "$OUT/results/sift/t1_val_concat.json" \
  -o "$OUT/preview_t1_concat.png" --limit 8 --sort outcome
"$X3" preview "$OUT/tasks/t2b_val_multi.json" --results "$OUT/results/pixel-diff/t2b_val_multi.json" \
  -o "$OUT/preview_t2b.png" --limit 8 --sort outcome
say "report: every run and sample on one page that opens from disk"
"$X3" report "$OUT/results" -o "$OUT/report" -q

cat <<END

== done; where to look
  $OUT/report/index.html    the report: open it in a browser
  $OUT/preview_*.png        what a model sees, the truth and an answer
  $OUT/root                 the data root: originals, masks, counterfactuals, scene.json
  $OUT/tasks                task files (LLaVA-style JSON), images, build.json
  $OUT/results              results per model and set, summary.json
Next: the same on your own views:
  $X3 zeroshot YOUR_ROOT -o results --tasks-dir tasks --model sift
END
