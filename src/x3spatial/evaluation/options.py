"""Options of the evaluation with their defaults and checks.

The command line reads defaults and help from this module, which therefore imports no model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from x3spatial.errors import UserError, flag
from x3spatial.formats.results_file import MaskChoice, ScoringRule


def check_scoring(scoring: str) -> ScoringRule:
    """``scoring`` as a scoring rule.

    Raises:
        UserError: there is no rule of this name.
    """
    for rule in get_args(ScoringRule):
        if scoring == rule:
            return rule  # type: ignore[no-any-return]
    raise UserError(f"--scoring {scoring}: must be one of {', '.join(get_args(ScoringRule))}")


def check_mask_choice(mask: str) -> MaskChoice:
    """``mask`` as a choice of masks.

    Raises:
        UserError: there is no such choice.
    """
    for choice in get_args(MaskChoice):
        if mask == choice:
            return choice  # type: ignore[no-any-return]
    raise UserError(f"--mask {mask}: must be one of {', '.join(get_args(MaskChoice))}")


@dataclass(frozen=True, kw_only=True)
class AskOptions:
    """Options of inference.

    Raises:
        UserError: a value is out of range; the message names the option.
    """

    max_new_tokens: int = 64
    """Maximum number of tokens of an answer, for models that generate text."""
    batch_size: int = 8
    """Samples per call of the model."""
    seed: int = 0
    """Seed for stochastic models."""
    model_options: Mapping[str, Any] = field(default_factory=dict)
    """Options of the model's kind, by name."""

    def __post_init__(self) -> None:
        for name in ("batch_size", "max_new_tokens"):
            _check_positive(name, getattr(self, name))
        object.__setattr__(self, "model_options", dict(self.model_options or {}))


@dataclass(frozen=True, kw_only=True)
class ScoreOptions:
    """Options of scoring.

    Raises:
        UserError: a value is not one of the choices; the message names the option.
    """

    scoring: str = "x3"
    """Point-in-mask rule: x3, or roborefer for RoboRefer's own."""
    mask: str = "auto"
    """Mask to score against: auto (the record's own), tight or dilated."""
    image_folder: Path | None = None
    """Base folder for relative image paths."""
    image_root: Path | None = None
    """Where the data root is now, if it was moved after the build."""

    def __post_init__(self) -> None:
        check_scoring(self.scoring)
        check_mask_choice(self.mask)
        for name in ("image_folder", "image_root"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, Path(getattr(self, name)))


@dataclass(frozen=True, kw_only=True)
class AnswersOptions(ScoreOptions):
    """Options of scoring answers that were made elsewhere.

    Raises:
        UserError: a value is not one of the choices; the message names the option.
    """

    convention: str | None = None
    """How the answers write a point; needed unless their file says so itself."""
    model_name: str | None = None
    """Name of the model in the results (default: what the file says, else the file's name)."""
    id_field: str | None = None
    """The field or column with the id of a sample."""
    text_field: str | None = None
    """The field or column with the text of an answer."""
    participant: str | None = None
    """Score only the answers of this person."""
    min_pixels: int | None = None
    """Least area after the processor's resizing, for conventions that count resized pixels."""
    max_pixels: int | None = None
    """Largest area after the processor's resizing, for conventions that count resized pixels."""

    def __post_init__(self) -> None:
        ScoreOptions.__post_init__(self)
        for name in ("min_pixels", "max_pixels"):
            number = getattr(self, name)
            if number is not None:
                _check_positive(name, number)


ANSWERS_ONLY = (
    "convention", "model_name", "id_field", "text_field", "participant", "min_pixels", "max_pixels",
)  # fmt: skip
"""The options of answers made elsewhere that scoring a results file again does not have."""


@dataclass(frozen=True, kw_only=True)
class EvalOptions(AskOptions, ScoreOptions):
    """Options of inference and scoring.

    Raises:
        UserError: a value is out of range; the message names the option.
    """

    limit: int | None = None
    """Evaluate only the first N samples of each set."""
    stop_after_failures: int = 20
    """Stop when N questions in a row fail alike and none has succeeded; 0: never."""

    def __post_init__(self) -> None:
        AskOptions.__post_init__(self)
        ScoreOptions.__post_init__(self)
        if self.limit is not None:
            _check_positive("limit", self.limit)
        if self.stop_after_failures < 0:
            raise UserError(
                f"{flag('stop_after_failures')} {self.stop_after_failures}: must be at least 0"
            )


@dataclass(frozen=True, kw_only=True)
class PoolOptions:
    """Copies of the model on a Ray cluster.

    Raises:
        UserError: a value is out of range; the message names the option.
    """

    actors: int | None = None
    """Copies of the model with --engine ray (default: as many as the cluster has room for)."""
    cpus_per_model: int | None = None
    """CPUs of each copy with --engine ray (default: 1; for a checkpoint without GPUs those of a machine)."""
    gpus_per_model: int | None = None
    """GPUs of each copy with --engine ray (default: 1 for a checkpoint if the cluster has any, else 0)."""

    def __post_init__(self) -> None:
        for name, least in (("actors", 1), ("cpus_per_model", 1), ("gpus_per_model", 0)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise UserError(f"{flag(name)} {value}: must be at least {least}")


def for_model(options: AskOptions) -> dict[str, Any]:
    """The options for ``models.registry.create``: common ones and those of the model's kind."""
    return {
        "max_new_tokens": options.max_new_tokens,
        "seed": options.seed,
        **options.model_options,
    }


def check_workers(workers: int | None) -> None:
    """Check the number of workers.

    Raises:
        UserError: ``workers`` is below 1.
    """
    if workers is not None:
        _check_positive("workers", workers)


def _check_positive(name: str, number: int) -> None:
    if number < 1:
        raise UserError(f"{flag(name)} {number}: must be at least 1")
