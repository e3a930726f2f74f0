"""Options shared by several commands."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from x3spatial.cli.declare import Also, Expand
from x3spatial.cli.help import ANSWERS, RUN, TASK_FILES
from x3spatial.conventions.registry import CONVENTIONS
from x3spatial.engine.registry import ENGINES
from x3spatial.engine.world import TIMEOUT
from x3spatial.exporters.points import ResizeLimits
from x3spatial.formats.answers.base import ID_FIELDS, TEXT_FIELDS
from x3spatial.formats.results_file import MaskChoice, ScoringRule
from x3spatial.tasks.strata import STRATA

_IMAGE_FOLDER = "Base folder for relative image paths (default: that of the task file)."
_IMAGE_ROOT = "Where the data root is now, if it was moved after the build."
Root = Annotated[
    Path,
    typer.Argument(metavar="ROOT", envvar="DATA_ROOT_X3", show_envvar=False,
                   help="A data root: {split}/{scene}/uid_{uid}/{NN}_{frame}_{kind}.png."),
    Also("--data-root"),
]  # fmt: skip
Tasks = Annotated[
    Path,
    typer.Argument(metavar="TASKS", help="A task file of x3 build, or a pack's set."),
    Also("--data-json"),
]
ResultsOut = Annotated[
    Path,
    typer.Option("--out", "-o", metavar="RESULTS", help="The results file to write.",
                 rich_help_panel=RUN),
    Also("--output-json"),
]  # fmt: skip
RootOut = Annotated[
    Path,
    typer.Argument(metavar="OUT", help="The data root to write; -o OUT is the same."),
    Also("-o", "--out"),
]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers",
        min=1,
        max=4096,
        help="Parallel workers (default: one per CPU).",
        rich_help_panel=RUN,
    ),
]
Engine = Annotated[
    str,
    typer.Option(
        "--engine",
        metavar="NAME",
        help=f"What the work runs on: {' or '.join(ENGINES)} (this machine or a cluster).",
        autocompletion=lambda: list(ENGINES),
        rich_help_panel=RUN,
    ),
]
RayAddress = Annotated[
    str | None,
    typer.Option(
        "--ray-address",
        metavar="ADDRESS",
        help="With --engine ray: the cluster to join, auto or HOST:PORT (default: start Ray here).",
        rich_help_panel=RUN,
    ),
]
ShardOf = Annotated[
    str | None,
    typer.Option(
        "--shard",
        metavar="K/N",
        help="Do only every Nth part of the work, from the Kth (1 to N); x3 merge joins them.",
        rich_help_panel=RUN,
    ),
]
Fresh = Annotated[
    bool,
    typer.Option(
        "--fresh/--resume",
        help="Discard what an earlier run left, or continue it.",
        rich_help_panel=RUN,
    ),
]
ImageFolder = Annotated[
    Path | None,
    typer.Option("--image-folder", metavar="DIR", help=_IMAGE_FOLDER),
]
ImageRoot = Annotated[
    Path | None,
    typer.Option("--image-root", metavar="DIR", help=_IMAGE_ROOT),
]
Seed = Annotated[int, typer.Option(help="Random seed: same seed, same bytes.")]
Splits = Annotated[
    str | None, typer.Option(metavar="NAMES", help="Comma-separated splits (default: all).")
]
TaskNames = Annotated[
    str | None,
    typer.Option(
        "--tasks", metavar="NAMES", help="Comma-separated: the tasks to be built, as of x3 build."
    ),
]
ProcessTimeout = Annotated[
    float,
    typer.Option(
        "--process-timeout",
        help="With torchrun or accelerate: seconds that a process waits for the others when it has asked"
        " its share.",
        rich_help_panel=RUN,
    ),
    Also("--rank-timeout"),
]
PROCESS_TIMEOUT = TIMEOUT


def names(text: str | None) -> tuple[str, ...] | None:
    """The names of a comma-separated option; None if it was not given."""
    return None if text is None else tuple(name.strip() for name in text.split(","))


def listed(choices: Iterable[object]) -> str:
    """``a, b or c``."""
    *first, last = map(str, choices)
    return f"{', '.join(first)} or {last}" if first else last


By = Annotated[
    str | None,
    typer.Option(
        "--by",
        metavar="NAMES",
        help="Also print results by these strata, comma-separated: "
        f"{', '.join(stratum.short for stratum in STRATA.values())}.",
        rich_help_panel=RUN,
    ),
]


def _of_answers(kind: type, help: str, **settings: Any) -> Any:
    """An option of answers that were made elsewhere."""
    return Annotated[kind | None, typer.Option(help=help, rich_help_panel=ANSWERS, **settings)]


_EVALUATION_TYPES = {
    "scoring": Annotated[
        str,
        typer.Option(
            help=f"Point-in-mask rule: {listed(get_args(ScoringRule))} (RoboRefer's own).",
            rich_help_panel=RUN,
        ),
    ],
    "mask": Annotated[
        str,
        typer.Option(
            help=f"Mask to score against: {listed(get_args(MaskChoice))}; auto is the record's own.",
            rich_help_panel=RUN,
        ),
    ],
    "image_folder": Annotated[
        Path | None,
        typer.Option(metavar="DIR", help=_IMAGE_FOLDER, rich_help_panel=RUN),
    ],
    "image_root": Annotated[
        Path | None, typer.Option(metavar="DIR", help=_IMAGE_ROOT, rich_help_panel=RUN)
    ],
    "convention": _of_answers(
        str, "How they write a point; needed unless the file declares it (no default).",
        metavar="NAME", autocompletion=lambda: list(CONVENTIONS),
    ),
    "model_name": _of_answers(
        str, "Name of the model in the results (default: the file's own, else its name)."
    ),
    "id_field": _of_answers(
        str, f"Field or column of the id (default: {listed(ID_FIELDS)}).", metavar="NAME"
    ),
    "text_field": _of_answers(
        str, f"Field or column of the text (default: {listed(TEXT_FIELDS)}).", metavar="NAME"
    ),
    "participant": _of_answers(
        str, "Score only this person's answers (default: each person's, into a folder).",
        metavar="NAME",
    ),
    "min_pixels": _of_answers(
        int, f"Least area after the processor's resizing (default {ResizeLimits().min_pixels})."
    ),
    "max_pixels": _of_answers(
        int, f"Largest area after the processor's resizing (default {ResizeLimits().max_pixels})."
    ),
}  # fmt: skip


def evaluation(of: str) -> Expand:
    """The options of an evaluation's options object, without those of the model."""
    return Expand(of, RUN, skip=frozenset({"model_options"}), types=_EVALUATION_TYPES)


def building(of: str, **settings: Any) -> Expand:
    """The options of ``BuildOptions``, all or a selection."""
    # Imported here, because only commands that build need the registries.
    from x3spatial.builder.options import BuildOptions
    from x3spatial.formats.image_paths import PATH_CHOICES
    from x3spatial.tasks.spec import TASKS, default_tasks

    def option(*declarations: str, **settings: Any) -> Any:
        return typer.Option(*declarations, rich_help_panel=TASK_FILES, **settings)

    groups = listed(dict.fromkeys(task.group for task in TASKS.values()))
    usual = ",".join(dict.fromkeys(TASKS[name].group for name in default_tasks()))
    able = " and ".join(task.name for task in TASKS.values() if task.reference_may_be_cut)
    types = {
        "tasks": Annotated[
            str | None,
            option(metavar="NAMES", help=f"Comma-separated: {groups}, or full names (default:"
                   f" {usual})."),
        ],
        "splits": Annotated[
            str | None, option(metavar="NAMES", help="Comma-separated splits (default: all).")
        ],
        "emit_concat": Annotated[
            int, option(min=0, max=1, help="1: also write the side-by-side form of Task1.")
        ],
        "use_dilated_mask": Annotated[
            bool,
            option("--use-dilated-mask/--use-tight-mask", help="Which mask to prefer."),
            Also("/--no-use-dilated-mask"),
        ],
        "paths": Annotated[
            str,
            option(metavar="KIND", help=f"Image paths in task files: {listed(PATH_CHOICES)} to the folder of"
                   " the task file."),
        ],
        "prompts": Annotated[
            Path | None,
            option(metavar="DIR", help="Prompt templates that replace the built-in ones."),
        ],
        "crop_reference": Annotated[
            tuple[float, float] | None,
            option(metavar="MIN MAX",
                   help="Crop the marked view to this multiple of the object's extent: for training"
                   f" only, not for evaluation; {able}."),
            Also("--closeup"),
        ],
    }  # fmt: skip
    assert set(types) <= set(BuildOptions.__dataclass_fields__)
    return Expand(
        of,
        TASK_FILES,
        types=types,
        parse={"tasks": names, "splits": names, "emit_concat": bool},
        **settings,
    )
