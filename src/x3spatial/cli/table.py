"""The list of commands: path, group, summary and location of the function. It imports no other module."""

from __future__ import annotations

from dataclasses import dataclass

DATA, EVALUATE, TRAIN, CHECKPOINTS = "Data", "Evaluate", "Train", "Checkpoints"
GROUPS = (DATA, EVALUATE, TRAIN, CHECKPOINTS)


@dataclass(frozen=True)
class Entry:
    """One command, or a group of commands."""

    path: str
    """Its name, preceded by the name of its group: ``model tiny``."""
    group: str
    """Its heading in help."""
    summary: str
    """A line that fits into 80 columns together with the name."""
    target: str | None
    """``module:attribute`` below ``x3spatial.cli``; None for a group of commands."""
    former: tuple[str, ...] = ()
    """Former names, still accepted."""
    hidden: bool = False
    without_json: str = ""
    """Why it has no ``--json``; empty: it has one."""

    @property
    def name(self) -> str:
        """The last word of the path."""
        return self.path.rpartition(" ")[2]


ENTRIES: tuple[Entry, ...] = (
    Entry("scenes", DATA, "Render synthetic rooms into a data root.", "scenes:scenes"),
    Entry(
        "composites",
        DATA,
        "Draw flat composites into a data root: easy training data.",
        "scenes:composites",
        former=("scenes-flat",),
    ),
    Entry("import", DATA, "Import recorded rooms or photographs.", "imports:import_scans"),
    Entry(
        "crop",
        DATA,
        "Crop every view around its object into a new data root.",
        "data:crop",
        former=("zoom",),
    ),
    Entry(
        "inpaint-bench", DATA, "Rank inpainting engines against exact truth.",
        "inpainting:inpaint_bench",
    ),
    Entry("audit", DATA, "Check every file of a data root.", "data:audit"),
    Entry("build", DATA, "Build task files and their images from a data root.", "data:build"),
    Entry("preview", DATA, "Draw samples, truth and answers on a contact sheet.", "tasks:preview"),
    Entry("export", DATA, "Write task files in the format of another trainer or harness.", "tasks:export"),
    Entry("merge", DATA, "Join the shards of a run (--shard K/N) into its output.", "merge:merge"),
    Entry("pack", DATA, "Pack task files with their images, for moving and sharing.", "packs:pack"),
    Entry("eval", EVALUATE, "Ask a model a task file and score its answers.", "evaluate:evaluate"),
    Entry("score", EVALUATE, "Score stored answers again, without a model.", "evaluate:score"),
    Entry("compare", EVALUATE, "Compare two runs on one task file, paired.", "evaluate:compare"),
    Entry("report", EVALUATE, "Write results or a data root as a web page.", "pages:report"),
    Entry("view", EVALUATE, "Show results in the browser, also of runs that go on.", "pages:view",
          without_json="serves pages until it is interrupted"),
    Entry("table", EVALUATE, "Print results as Markdown, LaTeX, CSV or JSON.", "figures:table"),
    Entry("plot", EVALUATE, "Draw results as a figure for a paper.", "figures:plot"),
    Entry("agreement", EVALUATE, "How far two sets of answers agree.", "people:agreement"),
    Entry("ask", EVALUATE, "Write a page that asks people the questions.", "people:ask"),
    Entry(
        "zeroshot", EVALUATE, "Build, evaluate and summarise, for one or more models.",
        "zeroshot:zeroshot",
    ),
    Entry(
        "check-model", EVALUATE, "Check a model's prompts and parsing on synthetic dots.",
        "evaluate:check_model",
    ),
    Entry("models", EVALUATE, "List available models and baselines.", "lists:models"),
    Entry("conventions", EVALUATE, "List how model families write points.", "lists:conventions"),
    Entry("sft", TRAIN, "Fine-tune a RoboRefer checkpoint on task files.", "train:sft",
          without_json="its log is what it prints; trainer_state.json has the figures"),
    Entry("check-data", TRAIN, "Check all training samples, without weights.", "train:check_data"),
    Entry("data", TRAIN, "Training data sets.", None),
    Entry("data list", TRAIN, "List a registry of training data sets.", "train:list_data"),
    Entry("recipe", TRAIN, "Training in stages.", None),
    Entry("recipe run", TRAIN, "Train in stages, each an x3 sft run.", "train:run_recipe",
          without_json="prints the logs of its stages, each an x3 sft run"),
    Entry("model", CHECKPOINTS, "Inspect, create or resize RoboRefer checkpoints.", None),
    Entry("model inspect", CHECKPOINTS, "Describe a RoboRefer checkpoint.", "checkpoints:inspect"),
    Entry(
        "model tiny", CHECKPOINTS, "Create a small random checkpoint.", "checkpoints:tiny"
    ),
    Entry(
        "model resize",
        CHECKPOINTS,
        "Convert a checkpoint to another image size.",
        "checkpoints:resize",
        former=("grow",),
    ),
    Entry("help", "", "Show the help of a command.", "about:show_help", hidden=True,
          without_json="prints help"),
    Entry("version", "", "Print the version.", "about:show_version", hidden=True,
          without_json="prints one line"),
)  # fmt: skip


def entries_of(prefix: str) -> tuple[Entry, ...]:
    """The entries of a group; of ``x3`` itself where ``prefix`` is empty."""
    return tuple(entry for entry in ENTRIES if entry.path.rpartition(" ")[0] == prefix)


def find_entry(prefix: str, name: str) -> Entry | None:
    """The entry of a group by its name or a former name; None if there is none."""
    return next(
        (entry for entry in entries_of(prefix) if name in (entry.name, *entry.former)), None
    )
