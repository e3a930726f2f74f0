"""Rewards for reinforcement learning on points or boxes, for example with TRL's ``GRPOTrainer``.

A reward is computed from the columns that ``x3 export --to trl`` and ``--to hf-datasets`` write, by the
parsing and the scoring of ``x3 score``. A function gets one list per column, as TRL passes them, and returns
a number per completion. Nothing here needs torch.

A right ``NOT_VISIBLE`` counts 1. So a model that is unsure gains by refusing, and the mean reward does not
show it: with TRL, ``false_not_visible_rate`` and ``hit_at_mask`` (of boxes ``mean_iou``) of each batch are
logged beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from x3spatial.arrays import Bool
from x3spatial.conventions.registry import find_convention
from x3spatial.errors import UserError
from x3spatial.evaluation.questions import question_of
from x3spatial.evaluation.scoring.masks import Masks
from x3spatial.evaluation.scoring.scores import Score, Truth, score_answer
from x3spatial.formats.results_entry import BoxScore
from x3spatial.formats.task_file import TaskRecord
from x3spatial.io.images import ImageError, decode_mask, read_mask, set_pixels
from x3spatial.tasks.answers import Answer, AnswerKind
from x3spatial.tasks.frames import Frame
from x3spatial.tasks.spec import TASKS
from x3spatial.texts import quoted

NEAR = 0.25
"""Distance from the mask at which ``near_mask`` becomes 0, as a fraction of the image."""

LogMetric = Callable[[str, float], None]
_Reward = Callable[[Score, Frame, Bool | None], float]
"""Takes a score, the frame of the query image, and the mask; None where nothing is to be seen."""


def hit_at_mask(
    completions: Sequence[Any],
    query_mask: Sequence[Any],
    answer: Sequence[str],
    task: str | Sequence[str] = "t1_multi",
    convention: str | Sequence[str] = "unit",
    pixel_sizes: Sequence[Any] | None = None,
    log_metric: LogMetric | None = None,
    **columns: Any,
) -> list[float]:
    """1.0 for a point on the object's mask, or for the absent token where nothing is to be seen; else 0.0.

    Args:
        completions: texts of the model, or conversations whose last message is its answer.
        query_mask: the mask of each sample: a PIL image, an array [H, W], encoded bytes, a path, or what
            ``datasets`` stores ({"bytes": ..., "path": ...}); None where nothing is to be seen.
        answer: the ground truth of each sample, ``[(x, y)]`` or the absent token, in any convention.
        task: the task of each sample, or of all.
        convention: how completions and ground truth write a point; per sample, or for all.
        pixel_sizes: (W, H) of each image of each sample, for conventions that count pixels.
        log_metric: TRL's function to log a number; gets figures of the batch.
        **columns: other columns; unused.

    Returns:
        A reward per completion.

    Raises:
        UserError: a mask is missing or cannot be read, or a task, a convention or a ground truth is unknown.
    """
    return _rewards(
        lambda score, frame, mask: _right(score),
        completions, query_mask, answer, task, convention, pixel_sizes, log_metric,
    )  # fmt: skip


def near_mask(
    completions: Sequence[Any],
    query_mask: Sequence[Any],
    answer: Sequence[str],
    task: str | Sequence[str] = "t1_multi",
    convention: str | Sequence[str] = "unit",
    pixel_sizes: Sequence[Any] | None = None,
    log_metric: LogMetric | None = None,
    **columns: Any,
) -> list[float]:
    """As ``hit_at_mask``, and up to 0.5 for a point in the image that misses the mask.

    A miss counts ``0.5 * (1 - d / NEAR)``, at least 0, where d is the distance to the closest pixel of the
    mask in units of the query image (x divided by its width, y by its height). A hit is worth at least twice
    as much. Where all points of a group miss, their rewards still differ.

    Args:
        completions: see ``hit_at_mask``.
        query_mask: see ``hit_at_mask``.
        answer: see ``hit_at_mask``.
        task: see ``hit_at_mask``.
        convention: see ``hit_at_mask``.
        pixel_sizes: see ``hit_at_mask``.
        log_metric: see ``hit_at_mask``.
        **columns: other columns; unused.

    Returns:
        A reward per completion.

    Raises:
        UserError: see ``hit_at_mask``.
    """
    return _rewards(
        lambda score, frame, mask: max(_right(score), _nearness(score, frame, mask)),
        completions, query_mask, answer, task, convention, pixel_sizes, log_metric,
    )  # fmt: skip


def box_iou(
    completions: Sequence[Any],
    query_mask: Sequence[Any],
    answer: Sequence[str],
    task: str | Sequence[str] = "t1_multi",
    convention: str | Sequence[str] = "qwen3-box-1000",
    pixel_sizes: Sequence[Any] | None = None,
    log_metric: LogMetric | None = None,
    **columns: Any,
) -> list[float]:
    """The IoU of a box with the tight box of the mask; 1.0 for the absent token where nothing is to be seen.

    For conventions whose families answer with boxes, which the other rewards of points refuse.

    Args:
        completions: see ``hit_at_mask``.
        query_mask: see ``hit_at_mask``.
        answer: the ground truth of each sample, a box or the absent token in the convention.
        task: see ``hit_at_mask``.
        convention: how completions and ground truth write a box; per sample, or for all.
        pixel_sizes: see ``hit_at_mask``.
        log_metric: see ``hit_at_mask``.
        **columns: other columns; unused.

    Returns:
        A reward per completion.

    Raises:
        UserError: see ``hit_at_mask``; also for a convention of points.
    """
    return _rewards(
        lambda score, frame, mask: _box_right(score, lambda box: box.iou),
        completions, query_mask, answer, task, convention, pixel_sizes, log_metric, boxes=True,
    )  # fmt: skip


def box_centre_in_mask(
    completions: Sequence[Any],
    query_mask: Sequence[Any],
    answer: Sequence[str],
    task: str | Sequence[str] = "t1_multi",
    convention: str | Sequence[str] = "qwen3-box-1000",
    pixel_sizes: Sequence[Any] | None = None,
    log_metric: LogMetric | None = None,
    **columns: Any,
) -> list[float]:
    """As ``box_iou``, but 1.0 for a box whose centre lies in the mask and 0.0 for others.

    Args:
        completions: see ``hit_at_mask``.
        query_mask: see ``hit_at_mask``.
        answer: see ``box_iou``.
        task: see ``hit_at_mask``.
        convention: see ``box_iou``.
        pixel_sizes: see ``hit_at_mask``.
        log_metric: see ``hit_at_mask``.
        **columns: other columns; unused.

    Returns:
        A reward per completion.

    Raises:
        UserError: see ``box_iou``.
    """
    return _rewards(
        lambda score, frame, mask: _box_right(score, lambda box: box.centre_in_mask),
        completions, query_mask, answer, task, convention, pixel_sizes, log_metric, boxes=True,
    )  # fmt: skip


def _rewards(
    reward: _Reward,
    completions: Sequence[Any],
    query_mask: Sequence[Any],
    answer: Sequence[str],
    task: str | Sequence[str],
    convention: str | Sequence[str],
    pixel_sizes: Sequence[Any] | None,
    log_metric: LogMetric | None,
    *,
    boxes: bool = False,
) -> list[float]:
    """The reward of each row. Each mask is decoded once, and dropped with its row."""
    count = len(completions)
    columns = (
        completions,
        query_mask,
        answer,
        _each(task, count),
        _each(convention, count),
        [None] * count if pixel_sizes is None else pixel_sizes,
    )
    lengths = {len(column) for column in columns}
    if len(lengths) > 1:
        raise UserError(f"rewards: the columns have different lengths: {sorted(lengths)}")
    scores, rewards = [], []
    for number, row in enumerate(zip(*columns, strict=True), start=1):
        score, frame, mask = _score(number, *row, boxes=boxes)
        scores.append(score)
        rewards.append(reward(score, frame, mask))
    _log(scores, log_metric)
    return rewards


def _score(
    number: int,
    completion: Any,
    mask: Any,
    answer: str,
    task: str,
    convention: str,
    sizes: Any,
    *,
    boxes: bool,
) -> tuple[Score, Frame, Bool | None]:
    """The score of one completion, and what it was scored by; ``number`` names the row in errors."""
    if task not in TASKS:
        raise UserError(f"task {task!r} of row {number}: known are {', '.join(TASKS)}")
    spec = TASKS[task]
    family = find_convention(convention)
    if (family.answers == "box") != boxes:
        use = "hit_at_mask or near_mask" if boxes else "box_iou or box_centre_in_mask"
        kind = "points" if boxes else "boxes"
        raise UserError(f"row {number}: {convention} answers with {kind}; use {use}")
    shown = tuple((int(width), int(height)) for width, height in sizes or ())
    names = tuple(f"image {place}" for place in range(1, spec.image_count + 1))
    record = TaskRecord(
        id=f"row {number}",
        task=task,
        image=names[0] if spec.side_by_side else names,
        prompt="?",
        answer=answer,
    )
    question = question_of(record, None)
    text = text_of(completion)
    try:
        gold = family.parse(answer, question, shown)
        said = family.parse(text, question, shown)
    except ValueError as error:
        raise UserError(f"row {number}: {error}; pass the column pixel_sizes") from None
    if gold.kind is AnswerKind.UNPARSED:
        raise UserError(
            f"row {number}: the ground truth {quoted(answer)} is no answer in the convention {convention}"
        )
    if gold.box is not None:  # the truth is a point and its mask, however it is written
        gold = Answer(AnswerKind.POINT, gold.box.centre)
    truth = Truth(answer, gold, spec.frame)
    chosen = mask_of(mask, f"query_mask of row {number}") if truth.visible else None
    score = score_answer(record, truth, text, said, Masks(chosen, None), boxes=boxes)
    return score, spec.frame, chosen


def text_of(completion: Any) -> str:
    """The text of a completion: itself, or the content of its last message."""
    if isinstance(completion, str):
        return completion
    if isinstance(completion, Mapping):
        parts = completion.get("content")
        if isinstance(parts, str):
            return parts
        return "".join(part.get("text") or "" for part in parts or () if isinstance(part, Mapping))
    return text_of(completion[-1]) if completion else ""


def mask_of(value: Any, where: str) -> Bool:
    """A mask as ``bool [H, W]``, from any form in which a table holds it; ``where`` names it in errors.

    Raises:
        UserError: there is none, or it cannot be read.
    """
    try:
        if isinstance(value, Mapping):
            value = value.get("bytes") or value.get("path")
        if isinstance(value, str | Path):
            return _mask_at(Path(value))
        if isinstance(value, bytes):
            return decode_mask(value)
    except ImageError as error:
        raise UserError(f"{where}: {error.reason}") from None
    if value is None:
        raise UserError(f"{where}: there is none, but the object is visible; export again")
    if getattr(value, "mode", None) in ("P", "PA", "LA", "RGBA"):
        value = value.convert("RGB")  # colours of a palette, without alpha
    pixels = np.asarray(value)
    if pixels.ndim not in (2, 3):
        raise UserError(f"{where}: has the shape {pixels.shape}, not [height, width]")
    return set_pixels(pixels)


_mask_at = lru_cache(maxsize=64)(read_mask)
"""Completions of one prompt share the mask."""


def _each(value: str | Sequence[str], count: int) -> Sequence[str]:
    return [value] * count if isinstance(value, str) else value


def _right(score: Score) -> float:
    if score.gt_absent:
        return float(score.said_not_visible)
    if score.correct is not None:
        return float(score.correct)
    return score.hit or 0.0


def _box_right(score: Score, figure: Callable[[BoxScore], float | bool | None]) -> float:
    """What an answer counts where a box was asked for."""
    if score.box is None or score.gt_absent or score.correct is not None:
        return _right(score)
    return float(figure(score.box) or 0.0)


def _nearness(score: Score, frame: Frame, mask: Bool | None) -> float:
    """What a point that misses counts."""
    point = score.pred_point
    if mask is None or point is None or score.gt_point is None or not frame.contains(point):
        return 0.0
    local = frame.to_local(point)
    height, width = mask.shape
    rows, columns = np.nonzero(mask)
    if not len(rows):
        return 0.0
    # To the closest edge of each pixel; 0 inside.
    across = np.maximum(np.abs(local.x * width - columns - 0.5) - 0.5, 0) / width
    down = np.maximum(np.abs(local.y * height - rows - 0.5) - 0.5, 0) / height
    return 0.5 * max(0.0, 1 - float(np.sqrt(across**2 + down**2).min()) / NEAR)


def _log(scores: Sequence[Score], log_metric: LogMetric | None) -> None:
    """Figures of a batch that the mean reward hides."""
    if log_metric is None:
        return
    visible = [score for score in scores if not score.gt_absent]
    absent = [score for score in scores if score.gt_absent]
    if visible:
        if any(score.box is not None for score in visible):
            log_metric("mean_iou", _mean([_box_right(s, lambda box: box.iou) for s in visible]))
        else:
            log_metric("hit_at_mask", _mean([_right(score) for score in visible]))
        refused = [float(score.said_not_visible) for score in visible]
        log_metric("false_not_visible_rate", _mean(refused))
    if absent:
        log_metric("not_visible_accuracy", _mean([_right(score) for score in absent]))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
