"""A working command line for every command of ``x3``, with its inputs and outputs by name."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from helpers.paths import FIXTURES
from helpers.roots import make_photos, make_root

CHECKPOINT = FIXTURES / "roborefer-tiny" / "checkpoint"

LINES: dict[str, str] = {
    "scenes": "{out} --train 1 --validation 0 --objects 1 --views 2 --width 64 --fast --workers 1",
    "composites": "{out} --scenes 2 --workers 1",
    "crop": "{root} {out} --workers 1",
    "audit": "{root}",
    "build": "{root} -o {out} --workers 1",
    "merge": "{shards} --dry-run",
    "preview": "{tasks} -o {out}.png",
    "export": "{tasks} --to trl -o {out}",
    "pack": "{tasks} -o {out}",
    "eval": "{tasks} -o {out}.json --model centre",
    "score": "{results} {tasks} -o {out}.json",
    "compare": "{results} {results}",
    "report": "{results} -o {out} -q",
    "view": "{results} --no-browser",
    "table": "{results}",
    "plot": "{results} -o {out}.svg",
    "agreement": "{results} {results}",
    "ask": "{tasks} -o {out}",
    "zeroshot": "{root} -o {out} --tasks-dir {out}-tasks --model centre",
    "check-model": "--model oracle --dots 4 --out {out}",
    "models": "",
    "conventions": "",
    "sft": (
        "--model-name-or-path {checkpoint} --data-path {tasks} --output-dir {out} --max-steps 1"
        " --bf16 False --gradient-checkpointing False --dataloader-num-workers 0"
    ),
    "check-data": "--data-path {tasks} --model-name-or-path {checkpoint}",
    "data list": "--data-registry {registry}",
    "recipe run": "{recipe} --model-name-or-path {checkpoint} --data-dir {data} --output-dir {out}",
    "model inspect": "{checkpoint}",
    "model tiny": "{out} --no-depth",
    "model resize": "{checkpoint} -o {out} --image-size 84",
    "import": "photos {photos} -o {out} --workers 1",
    "inpaint-bench": "{root} -o {out} --inpaint telea --model pixel-diff --limit 2 --workers 1",
    "help": "build",
    "version": "",
}
"""Command → its arguments; names in braces are fields of ``Inputs``, or ``out``, a new path."""

TORCH = frozenset(
    {"sft", "check-data", "data list", "recipe run", "model inspect", "model tiny", "model resize"}
)
"""Commands that need torch."""

_RECIPE = """
datasets: {seen: tasks.json}
options: {bf16: false, gradient_checkpointing: false, dataloader_num_workers: 0}
stages: [{name: one, mixture: seen, options: {max_steps: 1}}]
"""


@dataclass(frozen=True)
class Inputs:
    """Files and folders that commands read."""

    root: Path
    photos: Path
    tasks: Path
    results: Path
    checkpoint: Path
    registry: Path
    recipe: Path
    data: Path
    """The folder of ``tasks``."""
    shards: Path
    """A build of one shard."""


def make_inputs(folder: Path) -> Inputs:
    """Write small inputs for every command."""
    from x3spatial.cli import run

    root = make_root(folder / "root")
    assert run(["build", str(root), "-o", str(folder / "built"), "--workers", "1"]) == 0
    tasks = folder / "tasks.json"
    records = json.loads((folder / "built" / "t1_val_multi.json").read_text())[:2]
    tasks.write_text(json.dumps(records))
    results = folder / "results.json"
    assert run(["eval", str(tasks), "-o", str(results), "--model", "centre"]) == 0
    registry, recipe = folder / "registry.yaml", folder / "recipe.yaml"
    registry.write_text(f"datasets: {{seen: {tasks}}}\n")
    recipe.write_text(_RECIPE)
    photos = make_photos(folder / "photos")
    shards = folder / "shards"
    assert run(["build", str(root), "-o", str(shards), "--workers", "1", "--shard", "1/1"]) == 0
    return Inputs(root, photos, tasks, results, CHECKPOINT, registry, recipe, folder, shards)


def words(command: str, inputs: Inputs, out: Path, **replaced: Path) -> list[str]:
    """The words of a command line; ``replaced`` inputs take the place of the working ones."""
    names = {**vars(inputs), **replaced, "out": out}
    line = [piece.format(**names) for piece in LINES[command].split()]
    return [*command.split(), *line]
