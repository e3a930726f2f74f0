"""The folder that every case starts from: one file of each kind that commands read.

::

    root/          a data root with a train and a validation split
    photos/        photographs of one room, with masks
    tasks/         its task files
    results/       a.json and b.json: two models' answers to tasks/t1_val_multi.json
    checkpoint/    a small random RoboRefer checkpoint
    prompts/       prompt templates
    registry.yaml  data sets and mixtures
    recipe.yaml    a recipe of one stage
    out/           where commands write; notes.txt is a file of the user's, shards/ a build in two shards
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from campaign.process import Circumstances, Zygote
from helpers.paths import FIXTURES, SRC
from helpers.roots import make_photos, make_root

REGISTRY = """\
datasets:
  a: tasks/t1_train_multi.json
  b: {data_path: tasks/t1_train_multi.json, weight: 2, only: visible}
mixtures:
  all: a + b*0.5
"""
RECIPE = """\
datasets:
  a: t1_train_multi.json
options: {bf16: false, gradient_checkpointing: false, dataloader_num_workers: 0, logging_steps: 1,
          save_steps: 1, learning_rate: 1.0e-3, image_folder: /, report_to: none}
stages:
  - {name: first, mixture: a, options: {max_steps: 1}}
"""
NOTES = "notes.txt"


def make_template(zygote: Zygote, folder: Path) -> None:
    """Write the folder; it must be where the cases run, since task files hold absolute paths."""
    folder.mkdir(parents=True)
    make_root(folder / "root", objects=2)
    make_photos(folder / "photos")
    scene = folder / "root" / "validation" / "validation_0"
    (scene / "scene.json").write_text('{"views": {}}')
    (scene / "validation_0_uid_0_five_frames.json").write_text(json.dumps({"label": "cup"}))
    shutil.copytree(FIXTURES / "roborefer-tiny" / "checkpoint", folder / "checkpoint")
    shutil.copytree(SRC / "x3spatial" / "tasks" / "prompts", folder / "prompts",
                    ignore=shutil.ignore_patterns("*.py", "__pycache__"))  # fmt: skip
    (folder / "registry.yaml").write_text(REGISTRY)
    (folder / "recipe.yaml").write_text(RECIPE)
    for line in (
        "build root -o tasks",
        "eval tasks/t1_val_multi.json -o results/a.json --model centre",
        "eval tasks/t1_val_multi.json -o results/b.json --model sift",
    ):
        ran = zygote.run(line.split(), folder, Circumstances())
        assert ran.code == 0, ran.err
    # Its shards lie where its output does.
    for k in (1, 2):
        line = f"build root -o out/shards --workers 1 --shard {k}/2"
        ran = zygote.run(line.split(), folder, Circumstances())
        assert ran.code == 0, ran.err
    (folder / "out" / NOTES).write_text("the user's own\n")
