"""The table of commands: how each is called, what it reads and what may differ between two runs.

Arguments are relative to the folder of a case (``template.py`` says what lies in it). A command writes below
``out/`` only. A new command of ``x3`` is one entry here; ``test_short.py`` fails if one is missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from x3spatial.cli.table import ENTRIES

NONE: Mapping[str, str] = {}
ROOT = {"root": "root"}
TASKS = {"tasks": "tasks/t1_val_multi.json"}
TRAIN = {"tasks": "tasks/t1_train_multi.json"}
CHECKPOINT = {"checkpoint": "checkpoint"}
RESULTS = {"results": "results/a.json"}

LOGS = ("*.log", "*/events.out.*", "*loss.png", "*curve.png")
"""Files of a training run that hold times."""


RUN_FILES = ("*x3_run.json",)
REPORT_FILES = ("*x3-report.json",)
"""Says ``unfinished`` until the end."""
ENDLESS = frozenset({"view"})
"""Commands that only an interrupt ends, and that write nothing."""


@dataclass(frozen=True, eq=False)
class Command:
    """One way to call one command."""

    path: str
    """As in ``x3spatial.cli.table``."""
    arguments: str
    """Split at blanks."""
    inputs: Mapping[str, str] = field(default_factory=dict)
    """Role → path; the kinds know what can be wrong with each role."""
    form: str = ""
    """Tells entries of one command apart."""
    server: str = ""
    """``openai`` or ``roborefer``: what it asks; ``BASE_URL`` in the arguments is replaced."""
    differs: tuple[str, ...] = ()
    """Patterns of outputs that are not the same in two runs."""
    changes: tuple[str, ...] = ()
    """Patterns of outputs that are written more than once in a run."""
    heavy: bool = False
    """Takes seconds: fewer cases of it."""
    needs: tuple[str, ...] = ()
    """Packages beyond the core."""
    code: int = 0
    """The exit code of an undisturbed run."""

    @property
    def name(self) -> str:
        """The path and the form."""
        return f"{self.path} ({self.form})" if self.form else self.path

    def words(self) -> list[str]:
        """The command line after ``x3``."""
        return [*self.path.split(), *self.arguments.split()]


TORCH = ("torch", "transformers")
SFT = (
    "--model-name-or-path checkpoint --image-folder / --output-dir out/run --bf16 False"
    " --gradient-checkpointing False --dataloader-num-workers 0 --max-steps 2 --save-steps 1"
    " --logging-steps 1 --learning-rate 1e-3 --report-to none"
)
ASK = "--convention unit --retries 1 --timeout 3 --concurrency 2"

COMMANDS: tuple[Command, ...] = (
    Command("scenes", "out/root --fast --train 0 --validation 1 --objects 1 --views 2 --workers 1",
            heavy=True, needs=("embreex",)),
    Command("composites", "out/root --scenes 2 --workers 1"),
    Command("import", "photos photos -o out/imported --workers 1", {"photos": "photos"}),
    Command("inpaint-bench", "root -o out/bench --inpaint telea --model pixel-diff --limit 2 --workers 1",
            ROOT),
    Command("crop", "root -o out/near --workers 1", ROOT),
    Command("audit", "root --workers 1", ROOT),
    Command("build", "root -o out/tasks --workers 1", ROOT),
    Command("build", "root -o out/tasks --workers 1 --prompts prompts", {**ROOT, "prompts": "prompts"},
            form="prompts"),
    Command("build", "root -o out/tasks --workers 1 --shard 1/2", ROOT, form="shard",
            differs=("*shard.json",), changes=("*shard.json",)),
    Command("merge", "out/shards --workers 1", {**ROOT, "note": "out/shards/.shard-1-of-2/shard.json"}),
    Command("preview", "tasks/t1_val_multi.json --results results/a.json -o out/preview.png",
            {**TASKS, **RESULTS}),
    Command("export", "tasks/t1_val_multi.json --to llava -o out/export", TASKS),
    Command("export", "tasks/t1_val_multi.json --to llava --paths copy -o out/export", TASKS, form="copy"),
    Command("export", "tasks/t1_val_multi.json --to hf-datasets -o out/export", TASKS, form="datasets",
            heavy=True, needs=("datasets",)),
    Command("pack", "tasks/t1_val_multi.json -o out/pack --workers 1", TASKS, changes=("*.x3-pack.json",),
            needs=("pyarrow",)),
    Command("eval", "tasks/t1_val_multi.json -o out/r.json --model sift --workers 1", TASKS),
    Command("eval", "tasks/t1_val_multi.json -o out/r.json --model roborefer:checkpoint --max-new-tokens 8",
            {**TASKS, **CHECKPOINT}, form="checkpoint", heavy=True, needs=TORCH),
    Command("eval", f"tasks/t1_val_multi.json -o out/r.json --model openai:m --base-url BASE_URL/v1 {ASK}",
            TASKS, form="openai", server="openai", needs=("openai",)),
    Command("eval", "tasks/t1_val_multi.json -o out/r.json --model roborefer-server:BASE_URL --retries 1"
            " --timeout 3 --concurrency 2", TASKS, form="roborefer-server", server="roborefer",
            needs=("openai",)),
    Command("score", "results/a.json tasks/t1_val_multi.json -o out/r.json --workers 1",
            {**RESULTS, **TASKS}),
    Command("compare", "results/a.json results/b.json", RESULTS),
    Command("agreement", "results/a.json results/b.json", RESULTS),
    Command("table", "results/a.json results/b.json --to latex -o out/table.tex", RESULTS),
    Command("plot", "results/a.json results/b.json -o out/figure.svg", RESULTS, needs=("matplotlib",)),
    Command("ask", "tasks/t1_val_multi.json -o out/page --workers 1", TASKS, changes=("*x3-ask.json",)),
    # Without its task file a report has less in it, says so and is done: no input that must be there.
    Command("report", "results/a.json results/b.json -o out/report --workers 2", RESULTS,
            changes=REPORT_FILES),
    Command("report", "root -o out/report --images thumbs --workers 1", ROOT, form="root",
            changes=REPORT_FILES),
    Command("zeroshot", "root -o out/eval --tasks-dir out/tasks --model centre --model sift --workers 1",
            ROOT),
    Command("zeroshot", "-o out/eval --tasks-dir tasks --model openai:m --base-url BASE_URL/v1 --workers 1 "
            + ASK, form="openai", server="openai", needs=("openai",)),
    Command("check-model", "--model openai:m --base-url BASE_URL/v1 --convention unit --retries 0"
            " --timeout 0.5 --concurrency 16", server="openai",
            needs=("openai",), code=1),
    Command("models", ""),
    Command("conventions", ""),
    Command("sft", f"--data-path tasks/t1_train_multi.json {SFT}", {**TRAIN, **CHECKPOINT},
            differs=LOGS, changes=RUN_FILES, heavy=True, needs=TORCH),
    Command("check-data", "--data-path tasks/t1_train_multi.json --model-name-or-path checkpoint"
            " --image-folder /", {**TRAIN, **CHECKPOINT}, needs=TORCH),
    Command("data list", "--data-registry registry.yaml", {"registry": "registry.yaml", **TRAIN},
            needs=TORCH),
    Command("recipe run", "recipe.yaml --model-name-or-path checkpoint --data-dir tasks --output-dir out/run",
            {"recipe": "recipe.yaml", **TRAIN, **CHECKPOINT}, differs=LOGS, changes=RUN_FILES, heavy=True,
            needs=TORCH),
    Command("model inspect", "checkpoint", CHECKPOINT, needs=TORCH),
    Command("model tiny", "out/tiny", needs=TORCH),
    Command("model resize", "checkpoint -o out/large --image-size 126", CHECKPOINT, needs=TORCH),
    Command("help", "build"),
    Command("version", ""),
)  # fmt: skip


def commands_without_entry() -> set[str]:
    """Commands of ``x3`` that the table lacks."""
    return (
        {entry.path for entry in ENTRIES if entry.target} - {one.path for one in COMMANDS} - ENDLESS
    )
