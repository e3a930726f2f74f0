#!/bin/sh
# Effect of fine-tuning: make demo-sft. Evaluates x3-tiny, which was trained on rooms by day, on rooms rendered as
# by a night camera, before and after an x3 sft run on other such rooms. X3: the x3 command; OUT: output folder;
# STEPS: number of training steps.
set -eu
X3=${X3:-x3}
OUT=${OUT:-demo-sft}
STEPS=${STEPS:-350}
say() { printf '\n== %s\n' "$1"; }

say "scenes: night rooms to learn from, and others to be asked about"
"$X3" scenes "$OUT/root" --fast --style night --train 100 --validation 40 --objects 6 --seed 88
"$X3" build "$OUT/root" -o "$OUT/tasks" --emit-concat 0
ask() { # MODEL NAME
  for name in t2b_val_multi t1_val_multi; do
    "$X3" eval "$OUT/tasks/$name.json" -o "$OUT/results/$2/$name.json" \
      --model "$1" --batch-size 64 --max-new-tokens 20
  done
}
say "before"
ask roborefer:x3-tiny before
say "x3 sft, $STEPS steps"
"$X3" sft --model_name_or_path x3-tiny \
  --data_mixture "$OUT/tasks/t2b_train_multi.json+$OUT/tasks/t1_train_multi.json*0.5" \
  --output_dir "$OUT/run" --max_steps "$STEPS" --per_device_train_batch_size 32 \
  --gradient_accumulation_steps 1 --muon_lr 1e-3 --learning_rate 3e-4 --adam_beta2 0.99 \
  --attention lean --gradient_checkpointing False --dataloader_num_workers 1 --logging_steps 50
say "after"
ask "roborefer:$OUT/run" after
for name in t2b_val_multi t1_val_multi; do
  say "before (A) and after (B) on held-out night rooms, $name; * marks intervals that exclude zero"
  "$X3" compare "$OUT/results/before/$name.json" "$OUT/results/after/$name.json"
done
