"""Options about training data, of ``x3 sft`` and ``x3 check-data``; imported without torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

MODEL_MAX_LENGTH = 8192
MODEL_MAX_LENGTH_HELP = "Most tokens of a sample, images included."


def with_help(text: str, default: Any, **metadata: Any) -> Any:
    """A field of a dataclass with the help of its option."""
    return field(default=default, metadata={"help": text, **metadata})


@dataclass
class DataArguments:
    """The training and evaluation data."""

    data_path: str = with_help("A task file of x3 build; then --data-mixture must be empty.", "")
    data_mixture: str = with_help('Data sets of the registry, or task files: "a+b*3".', "")
    data_registry: str | None = with_help("YAML file with data sets and mixtures.", None)
    image_folder: str = with_help("Base folder for relative image paths.", "/")
    image_root: str | None = with_help("Where the data root is now, if it was moved.", None)
    depth_path: str | None = with_help("Folder with depth maps that mirrors the data root.", None)
    image_aspect_ratio: str = with_help("resize, pad or dynamic.", "resize")
    long_samples: str = with_help("Samples longer than --model-max-length: error or drop.", "error")
    text_samples: str = with_help("Records without an image: error or keep.", "error")
    eval_data_path: str | None = with_help(
        "A task file to evaluate on every --eval-steps steps.", None
    )
    eval_limit: int | None = with_help("Evaluate only its first N questions.", None)
    eval_max_new_tokens: int = with_help("Longest answer in an evaluation, in tokens.", 64)

    def check(self) -> None:
        """Check values and combinations.

        Raises:
            UserError: a value is not supported; the message names the option.
        """
        from x3spatial.models.roborefer.images import check_aspect_mode  # imports torch

        check_aspect_mode(self.image_aspect_ratio)


@dataclass
class CheckArguments(DataArguments):
    """Options of ``x3 check-data``: those of the training data, and how they are checked."""

    model_name_or_path: str | None = with_help(
        "A checkpoint or tokenizer folder (default: 448 pixels and a small tokenizer).", None
    )
    model_max_length: int = with_help(MODEL_MAX_LENGTH_HELP, MODEL_MAX_LENGTH)
    enable_depth: bool = with_help("Check depth maps too.", False)
    batch_size: int = with_help("Batch size.", 1)
    show: int = with_help("Number of samples to print as the model reads them.", 1)


NOT_CHECKED = ("eval_data_path", "eval_limit", "eval_max_new_tokens")
"""Fields of ``DataArguments`` that ``x3 check-data`` does not use."""
