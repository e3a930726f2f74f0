"""Runs in an environment of LLaMA-Factory: one training step on an export, with a tiny random LLaVA.

usage: python llamafactory_peer.py EXPORT OUT DATASET. Prints what the model was fed, as JSON.
"""

from __future__ import annotations

import contextlib
import importlib.machinery
import json
import sys
import types
from pathlib import Path


def main(export: Path, out: Path, dataset: str) -> None:
    # It imports torchaudio for sounds, of which our exports have none; there is no CPU wheel for every torch.
    stub = types.ModuleType("torchaudio")
    stub.__spec__ = importlib.machinery.ModuleSpec("torchaudio", None)
    sys.modules["torchaudio"] = stub
    from watched_llava import save_tiny, watch

    with contextlib.redirect_stdout(sys.stderr):
        from llamafactory.train.tuner import run_exp

        model = save_tiny(out / "model")
        seen = watch()
        run_exp(
            {
                "stage": "sft",
                "do_train": True,
                "model_name_or_path": model,
                "finetuning_type": "full",
                "freeze_vision_tower": False,
                "template": "llava",
                "dataset": dataset,
                "dataset_dir": str(export),
                "media_dir": str(export),
                "cutoff_len": 4096,
                "per_device_train_batch_size": 4,
                "max_steps": 1,
                "logging_steps": 1,
                "output_dir": str(out / "run"),
                "save_strategy": "no",
                "report_to": "none",
                "use_cpu": True,
                "bf16": False,
                "preprocessing_num_workers": 1,
                "overwrite_cache": True,
            }
        )
    print(json.dumps(seen))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
