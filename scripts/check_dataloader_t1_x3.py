#!/usr/bin/env python3
"""`x3 check-data` under the document's name: Task1 multi, no model weights loaded.

From the environment: OUT_DIR (task files), MODEL (a checkpoint or tokenizer folder). Options are those of
`x3 check-data`.
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "src"))

from x3spatial.training.commands import program

if __name__ == "__main__":
    os.chdir(Path(__file__).resolve().parent.parent)
    data = Path(os.environ.get("OUT_DIR", "tmp/spatial_tasks_x3")) / "t1_train_multi.json"
    model = os.environ.get("MODEL")
    default = ["--data_path", str(data), *(["--model_name_or_path", model] if model else [])]
    program(["check-data", *default, *sys.argv[1:]])
