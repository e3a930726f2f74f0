#!/usr/bin/env bash
# Fine-tune on Task1 multi: build the data if it is missing, train, evaluate before and after.
#
#   FREEZE_VISION=1 MODEL=runs/train/RoboRefer-2B-Depth-Align DATA_ROOT_X3=/data/views \
#     bash scripts/run_sft_t1_x3.sh [more options of x3 sft]
#
# The same command continues a run that was stopped. From the environment: FREEZE_VISION (1: the vision
# tower is not trained), MODEL (the checkpoint), DATA_ROOT_X3 (the views: needed if the task files are not
# there, or the views were moved since), OUT_DIR (task files), RUN_DIR (the run; its log is RUN_DIR/train.log), EVAL_DIR (results),
# NPROC (processes of torchrun), BF16 (True or False), DEEPSPEED (a configuration), EVALUATE (0: train only),
# PYTHON (the interpreter).
set -euo pipefail
cd "$(dirname "$0")/.."
if [ -z "${PYTHON:-}" ]; then
  if [ -x .venv/bin/python ]; then PYTHON=.venv/bin/python; else PYTHON=python3; fi
fi
export PYTHONPATH="$PWD/src${PYTHONPATH:+:$PYTHONPATH}"
export X3_SCRIPT=scripts/run_sft_t1_x3.sh # messages then name the variables below, not the options
MODEL=${MODEL:-./runs/train/RoboRefer-2B-Depth-Align}
OUT_DIR=${OUT_DIR:-./tmp/spatial_tasks_x3}
RUN_DIR=${RUN_DIR:-runs/train/mv_consistency_sft_x3}
EVAL_DIR=${EVAL_DIR:-runs/eval_sft_x3}
TUNE_VISION=True
if [ "${FREEZE_VISION:-0}" = 1 ]; then TUNE_VISION=False; fi

if [ -n "${DATA_ROOT_X3:-}" ] && [ ! -d "$DATA_ROOT_X3" ]; then
  echo "x3: DATA_ROOT_X3 $DATA_ROOT_X3: no such folder" >&2
  exit 2
fi
if [ ! -f "$OUT_DIR/t1_train_multi.json" ]; then
  if [ -z "${DATA_ROOT_X3:-}" ]; then
    echo "x3: $OUT_DIR/t1_train_multi.json is missing; set DATA_ROOT_X3 to build it, or run" \
      "python tools/build_spatial_tasks_x3.py --data_root ROOT --out_dir $OUT_DIR first" >&2
    exit 2
  fi
  if [ ! -d "$DATA_ROOT_X3/train" ]; then
    echo "x3: DATA_ROOT_X3 $DATA_ROOT_X3 has no train split (no folder train), so there is nothing to train on" >&2
    exit 2
  fi
  "$PYTHON" -m x3spatial build --data_root "$DATA_ROOT_X3" --out_dir "$OUT_DIR" \
    --mode anchor --anchor_k 1 --alpha 0.45 --use_dilated_mask --emit_concat 1
fi

LAUNCH=("$PYTHON" -m x3spatial.training.commands sft)
if [ "${NPROC:-1}" -gt 1 ]; then
  LAUNCH=("$PYTHON" -m torch.distributed.run --standalone --nproc_per_node "$NPROC"
    -m x3spatial.training.commands sft)
fi
"${LAUNCH[@]}" \
  --model_name_or_path "$MODEL" --chat_template qwen2 \
  --data_mixture "" --data_path "$OUT_DIR/t1_train_multi.json" --image_folder / \
  ${DATA_ROOT_X3:+--image_root "$DATA_ROOT_X3"} \
  ${VISION_TOWER:+--vision_tower "$VISION_TOWER"} \
  --mm_vision_select_feature cls_patch --mm_vision_select_layer -2 \
  --mm_projector mlp_downsample_3x3_fix --enable_depth False --use_depth_tower False \
  --tune_vision_tower "$TUNE_VISION" --tune_mm_projector True --tune_language_model True \
  --tune_depth_tower False --tune_depth_projector False \
  --mm_use_im_start_end False --mm_use_im_patch_token False --image_aspect_ratio resize \
  --output_dir "$RUN_DIR" --num_train_epochs 2 --per_device_train_batch_size 1 \
  --gradient_accumulation_steps 4 --evaluation_strategy no --save_strategy steps --save_steps 500 \
  --save_total_limit 3 --learning_rate 1e-5 --weight_decay 0. --warmup_ratio 0.03 \
  --lr_scheduler_type cosine --logging_steps 10 --model_max_length 8192 --bf16 "${BF16:-True}" \
  --gradient_checkpointing True --dataloader_num_workers 4 --report_to none \
  ${DEEPSPEED:+--deepspeed "$DEEPSPEED"} "$@"

if [ "${EVALUATE:-1}" = 1 ]; then
  "$PYTHON" -m x3spatial.training.before_after --base "$MODEL" --trained "$RUN_DIR" \
    --train_json "$OUT_DIR/t1_train_multi.json" --held_out_json "$OUT_DIR/t1_val_multi.json" \
    --eval_dir "$EVAL_DIR" ${DATA_ROOT_X3:+--image_root "$DATA_ROOT_X3"}
fi
