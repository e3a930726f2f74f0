"""Options of models, shared by all commands that run a model.

Each kind of model declares the options that it supports (``Model.options``); other options are errors.
"""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from x3spatial.cli.declare import Gather
from x3spatial.cli.help import HF, MODEL, ROBOREFER, SERVERS
from x3spatial.cli.options import listed
from x3spatial.conventions.registry import CONVENTIONS
from x3spatial.errors import UserError
from x3spatial.models import choices
from x3spatial.models.registry import KINDS, is_hub_name, is_outside, unknown_kind
from x3spatial.models.servers.settings import Settings

DEFAULT_CHECKPOINT = Path("runs/train/RoboRefer-2B-Depth-Align")

ModelSpecs = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        metavar="KIND[:ARG]",
        help="See x3 models; or a RoboRefer checkpoint folder. Default: the environment's MODEL.",
        rich_help_panel=MODEL,
        autocompletion=lambda: list(KINDS),
    ),
]
Checkpoint = Annotated[
    Path | None,
    typer.Option(
        "--model-name-or-path",
        metavar="DIR",
        help="A RoboRefer checkpoint: the same as --model roborefer:DIR.",
        rich_help_panel=MODEL,
    ),
]

_SERVER = {f.name: f.default for f in dataclasses.fields(Settings)}


def _option(kind: Any, panel: str, help: str, *declarations: str, **settings: Any) -> Any:
    option = typer.Option(*declarations, help=help, rich_help_panel=panel, **settings)
    return Annotated[kind | None, option]


def _options() -> dict[str, Any]:
    """All options of models: name in ``Model.options`` → type and help. Their default is None."""
    return {
        "convention": _option(
            str,
            MODEL,
            f"How the model writes points: {listed(CONVENTIONS)} (default: as its type was trained;"
            " required for openai).",
            autocompletion=lambda: list(CONVENTIONS),
        ),
        "device": _option(
            str,
            MODEL,
            "auto, cpu, cuda:1 ...; for hf also spread, over all GPUs (default auto: the first GPU, with"
            " torchrun one per process, else the CPU).",
        ),
        "dtype": _option(str, MODEL, f"auto, {listed(choices.DTYPES)} (default auto: as stored)."),
        "attention": _option(
            str, MODEL, f"{listed(choices.ATTENTIONS)} (default {choices.ATTENTIONS[0]})."
        ),
        "chat_template": _option(
            str, ROBOREFER, f"{listed(choices.CHAT_TEMPLATES)}, the only one."
        ),
        "image_aspect_ratio": _option(
            str,
            ROBOREFER,
            f"How images are resized: {listed(choices.ASPECT_MODES)} (default"
            f" {choices.ASPECT_MODES[0]}).",
        ),
        "depth": _option(
            Path,
            ROBOREFER,
            "Folder that mirrors the data root, with {NN}_{frame}_depth.png.",
            metavar="DIR",
        ),
        "min_pixels": _option(
            int, HF, "Smallest area of a resized image, for families that have it; also of openai."
        ),
        "max_pixels": _option(
            int, HF, "Largest area, likewise; also of openai (default: 1280 tokens' worth)."
        ),
        "adapter": _option(Path, HF, "Folder of a LoRA adapter of PEFT.", metavar="DIR"),
        "trust_remote_code": _option(
            bool, HF, "Run code that lies in the model's folder.", "--trust-remote-code"
        ),
        "base_url": Annotated[
            list[str] | None,
            typer.Option(
                metavar="URL", help="Server URL; repeat for replicas.", rich_help_panel=SERVERS
            ),
        ],
        "concurrency": _option(
            int, SERVERS, f"Most requests at once (default {_SERVER['concurrency']})."
        ),
        "timeout": _option(
            float, SERVERS, f"Seconds for one request (default {_SERVER['timeout']:g})."
        ),
        "retries": _option(
            int, SERVERS, f"Attempts after the first one (default {_SERVER['retries']})."
        ),
        "max_image_pixels": _option(int, SERVERS, "Downscale larger images before sending."),
        "image_format": _option(
            str,
            SERVERS,
            "auto: PNG and JPEG files as they are, others as PNG; png: all as PNG; original: WebP files as"
            " they are, too (default auto).",
            metavar="FORMAT",
        ),
        "max_image_bytes": _option(
            int, SERVERS, f"Re-encode larger files (default {_SERVER['max_image_bytes']:,})."
        ),
        "max_reply_bytes": _option(
            int, SERVERS, f"Refuse larger replies (default {_SERVER['max_reply_bytes']:,})."
        ),
        "cache": _option(Path, SERVERS, "File that keeps answers across runs.", metavar="FILE"),
        "api_key_env": _option(
            str,
            SERVERS,
            "Of openai: environment variable with the key (default OPENAI_API_KEY).",
            metavar="NAME",
        ),
        "extra_body": _option(
            str,
            SERVERS,
            "Of openai: extra request fields as JSON; null removes a field.",
            metavar="JSON",
        ),
        "openai_headers": _option(
            bool,
            SERVERS,
            "Of openai: send OPENAI_ORG_ID, OPENAI_PROJECT_ID and OPENAI_CUSTOM_HEADERS of the environment to"
            " any server, not only to OpenAI's own.",
            "--openai-headers",
        ),
        "enable_depth": _option(
            bool, SERVERS, "Of roborefer-server: it estimates depth itself.", "--enable-depth"
        ),
    }


MODEL_OPTIONS = Gather(_options)


def specs(models: list[str] | None, checkpoint: Path | None) -> list[str]:
    """``KIND[:ARG]`` of all values of --model and --model-name-or-path, or of the environment variable MODEL.

    Raises:
        UserError: a value is neither a kind nor a folder nor a Python path; the message suggests similar
            kinds.
    """
    named = [("--model", name) for name in models or []]
    if not named and checkpoint is None and os.environ.get("MODEL"):
        # Not read by Typer, which would split a path at blanks.
        named = [("environment MODEL", os.environ["MODEL"])]
    chosen = [_spec(option, name) for option, name in named]
    return [*chosen, *([] if checkpoint is None else [f"roborefer:{checkpoint}"])]


def _spec(option: str, name: str) -> str:
    kind = name.partition(":")[0]
    if kind in KINDS or is_outside(name):
        return name
    if Path(name).is_dir():
        return f"roborefer:{name}"
    if "/" in name and not is_hub_name(name):
        return f"roborefer:{name}"  # its errors describe the folder
    raise UserError(f"{option} {name}: {unknown_kind(name)}")


def one_spec(models: list[str] | None, checkpoint: Path | None, hint: str = "") -> str:
    """``KIND[:ARG]`` for a command with a single model.

    Raises:
        UserError: there is no model, or more than one, or see ``specs``.
    """
    chosen = specs(models, checkpoint)
    if len(chosen) != 1:
        raise UserError(f"--model: name exactly one{hint}")
    return chosen[0]
