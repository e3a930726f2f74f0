"""Runs in an environment of ms-swift: one training step on an export, with a tiny random LLaVA.

usage: python ms_swift_peer.py EXPORT OUT DATASET. Prints what the model was fed, as JSON.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from pathlib import Path


def main(export: Path, out: Path, dataset: str) -> None:
    from watched_llava import save_tiny, watch

    # Relative paths are otherwise those of the working directory.
    os.environ["ROOT_IMAGE_DIR"] = str(export)
    with contextlib.redirect_stdout(sys.stderr):
        from swift import sft_main

        model = save_tiny(out / "model")
        seen = watch()
        sft_main(
            [
                "--model", model, "--model_type", "llava1_5_hf", "--template", "llava1_5_hf",
                "--dataset", str(export / f"{dataset}.jsonl"), "--split_dataset_ratio", "0",
                "--tuner_type", "full", "--torch_dtype", "float32", "--max_steps", "1",
                "--per_device_train_batch_size", "4", "--max_length", "4096", "--logging_steps", "1",
                "--output_dir", str(out / "run"), "--save_strategy", "no", "--report_to", "none",
                "--dataset_num_proc", "1", "--dataloader_num_workers", "0", "--use_cpu", "true",
                "--gradient_checkpointing", "false",
            ]
        )  # fmt: skip
    print(json.dumps(seen))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
