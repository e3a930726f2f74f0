"""The options of models, shared by every command that asks one.

A model's kind declares which of them it understands (``Model.options``); one that was given and is
not understood is refused, never ignored.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

DEFAULT_CHECKPOINT = Path("runs/train/RoboRefer-2B-Depth-Align")

ModelSpecs = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        help="KIND[:ARG], see `x3 models`, or a RoboRefer checkpoint folder. Without it the"
        " environment's MODEL.",
    ),
]
Checkpoint = Annotated[
    Path | None,
    typer.Option("--model-name-or-path", help="A RoboRefer checkpoint: --model roborefer:PATH."),
]

_OPTIONS: dict[str, Any] = {
    "chat_template": Annotated[
        str | None, typer.Option(help="Of a RoboRefer checkpoint: qwen2 (default).")
    ],
    "image_aspect_ratio": Annotated[
        str | None,
        typer.Option(
            help="How a RoboRefer checkpoint sees images: resize (default), pad, dynamic."
        ),
    ],
    "dtype": Annotated[
        str | None,
        typer.Option(help="Of a checkpoint: auto (as stored), float32, bfloat16 or float16."),
    ],
    "device": Annotated[
        str | None,
        typer.Option(
            help="auto (the first GPU, under torchrun one per process; else the CPU), cuda:1, cpu; for hf"
            " also spread (over all GPUs)."
        ),
    ],
    "attention": Annotated[
        str | None, typer.Option(help="sdpa (default), eager or flash_attention_2.")
    ],
    "depth": Annotated[
        Path | None,
        typer.Option(help="Folder that mirrors the data root with {NN}_{frame}_depth.png."),
    ],
    "convention": Annotated[
        str | None,
        typer.Option(
            help="How the model writes points; default: as its type was trained; needed for openai."
        ),
    ],
    "min_pixels": Annotated[
        int | None,
        typer.Option(
            help="Of hf, openai: least area of a resized image, for families that have it."
        ),
    ],
    "max_pixels": Annotated[
        int | None,
        typer.Option(help="Of hf, openai: largest area, likewise; default: 1280 tokens' worth."),
    ],
    "adapter": Annotated[
        Path | None, typer.Option(help="Of hf: folder of a LoRA adapter of PEFT.")
    ],
    "trust_remote_code": Annotated[
        bool | None,
        typer.Option(
            "--trust-remote-code", help="Of hf: run code that lies in the model's folder."
        ),
    ],
    "base_url": Annotated[
        list[str] | None,
        typer.Option(help="Of servers: where one is; repeated: several that serve the same model."),
    ],
    "concurrency": Annotated[
        int | None,
        typer.Option(help="Of servers: most requests at once (default 16); fewer if one is busy."),
    ],
    "timeout": Annotated[
        float | None, typer.Option(help="Of servers: seconds for one request; default 120.")
    ],
    "retries": Annotated[
        int | None, typer.Option(help="Of servers: attempts after the first one; default 5.")
    ],
    "api_key_env": Annotated[
        str | None,
        typer.Option(help="Of openai: the environment variable with the key, not OPENAI_API_KEY."),
    ],
    "extra_body": Annotated[
        str | None,
        typer.Option(help="Of openai: JSON object of further request fields; null removes one."),
    ],
    "max_image_pixels": Annotated[
        int | None, typer.Option(help="Of servers: larger images are sent smaller.")
    ],
    "max_image_bytes": Annotated[
        int | None,
        typer.Option(help="Of servers: larger files are encoded anew; default 20,000,000."),
    ],
    "cache": Annotated[
        Path | None, typer.Option(help="Of servers: a file that keeps answers across runs.")
    ],
    "enable_depth": Annotated[
        bool | None,
        typer.Option("--enable-depth", help="Of roborefer-server: it estimates depth itself."),
    ],
}
"""Every option of a kind of model: name as in ``Model.options`` → its type and help; None: not given."""


def model_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command every option of ``_OPTIONS``; those given reach it as ``options``, a dict."""

    @wraps(command)
    def wrapped(**given: Any) -> Any:
        options = {name: given.pop(name) for name in _OPTIONS}
        chosen = {name: value for name, value in options.items() if value not in (None, [])}
        return command(**given, options=chosen)

    signature = inspect.signature(command, eval_str=True)
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
        for name, annotation in _OPTIONS.items()
    ]
    own = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for name, parameter in signature.parameters.items()
        if name != "options"
    ]
    vars(wrapped)["__signature__"] = signature.replace(parameters=[*own, *added])
    # Typer reads types from here and names from the signature.
    wrapped.__annotations__ = {p.name: p.annotation for p in [*own, *added]}
    return wrapped


def specs(models: list[str] | None, checkpoint: Path | None) -> list[str]:
    """``KIND[:ARG]`` for everything that --model and --model-name-or-path name, else for MODEL."""
    from x3spatial.models.registry import KINDS

    named = [*(models or []), *([] if checkpoint is None else [f"roborefer:{checkpoint}"])]
    if not named and os.environ.get("MODEL"):
        # Read here and not by Typer, which would split a path at its blanks.
        named = [os.environ["MODEL"]]
    return [
        f"roborefer:{name}"
        if name.partition(":")[0] not in KINDS and ("/" in name or Path(name).is_dir())
        else name
        for name in named
    ]
