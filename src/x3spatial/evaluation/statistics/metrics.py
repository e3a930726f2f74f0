"""Metrics: pure functions over per-sample scores.

A metric is one function. A *rate* returns two columns, part and whole, one entry per sample, and its value is
sum(part) / sum(whole), or null if the denominator is zero. Values, intervals, paired differences and chance
baselines are computed from the registered columns, so a new metric is one new function.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import numpy as np

from x3spatial.arrays import Bool, Float64, IntP
from x3spatial.evaluation.scoring.scores import SUCCESS_RADII, Score
from x3spatial.formats.results_file import METRICS, Value
from x3spatial.models.base import CUT_OFF
from x3spatial.tasks.boxes import HALF


@dataclass(frozen=True, slots=True)
class Table:
    """Scores as columns, each ``[N]``. Unanswered samples only count in ``total`` and ``errors``."""

    error: Bool
    visible: Bool
    """Whether the object is visible (and the sample was answered)."""
    hidden: Bool
    """Whether the object is not visible (and the sample was answered)."""
    said_not_visible: Bool
    said_point: Bool
    """Whether the answer says where: a point, or a box where a box was asked for."""
    unparsed: Bool
    contradictory: Bool
    out_of_range: Bool
    missing_mask: Bool
    cut_off: Bool
    """Whether the token limit ended the answer, as far as the model said so."""
    evaluated: Float64
    """0 where RoboRefer's own code gives no score, else 1; NaN under another rule."""
    l2: Float64
    """NaN without a distance; likewise below."""
    l2_full: Float64
    hit: Float64
    hit_tight: Float64
    at_removed: Float64
    """0 or 1 for tasks whose object was removed from the query image."""
    correct: Float64
    """0 or 1 for tasks that are not answered with a point."""
    asked_box: Bool
    """Whether the model was asked for a box instead of a point."""
    iou: Float64
    """Of boxes; NaN for points, without a visible object and without a mask."""
    centre_in_mask: Float64
    """0 or 1; NaN likewise."""
    swapped: Bool
    degenerate: Bool

    def __len__(self) -> int:
        return len(self.error)

    def take(self, chosen: IntP) -> Table:
        """The rows with indices ``chosen``, in that order."""
        return Table(*(getattr(self, name)[chosen] for name in self.__dataclass_fields__))

    @classmethod
    def joined(cls, parts: Sequence[Table]) -> Table:
        """The rows of several tables, in order."""
        if not parts:
            return table_of([])
        names = cls.__dataclass_fields__
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def table_of(scores: Sequence[Score]) -> Table:
    """The columns of ``scores``."""
    # All fields of a score at once: a function per field and score took a tenth of an evaluation.
    columns = list(zip(*map(_FIELDS_OF, scores), strict=True)) or [()] * len(_COLUMNS)
    found = dict(zip(_COLUMNS, columns, strict=True))

    def flags(values: Iterable[Any]) -> Bool:
        return np.array(list(values), dtype=np.bool_)

    def numbers(name: str) -> Float64:
        return np.array(found[name], dtype=np.float64)  # None becomes NaN

    error = flags(status == "error" for status in found["status"])
    visible = ~flags(found["gt_absent"])
    boxes = found["box"]
    return Table(
        error=error,
        visible=visible & ~error,
        hidden=~visible & ~error,
        said_not_visible=flags(found["said_not_visible"]),
        said_point=flags(
            point is not None or box is not None
            for point, box in zip(found["pred_point"], found["pred_box"], strict=True)
        ),
        unparsed=flags(status == "unparsed" for status in found["status"]),
        contradictory=flags(found["contradictory"]),
        out_of_range=flags(found["out_of_range"]),
        missing_mask=flags(found["missing_mask"]),
        cut_off=flags(
            details and str(details.get("finish")) in CUT_OFF for details in found["details"]
        ),
        evaluated=1.0 - numbers("roborefer_dropped"),
        l2=numbers("l2"),
        l2_full=numbers("l2_full"),
        hit=numbers("hit"),
        hit_tight=numbers("hit_tight"),
        at_removed=numbers("at_removed"),
        correct=numbers("correct"),
        asked_box=flags(box is not None for box in boxes),
        iou=np.array([box and box.iou for box in boxes], dtype=np.float64),
        centre_in_mask=np.array([box and box.centre_in_mask for box in boxes], dtype=np.float64),
        swapped=flags(box is not None and box.swapped for box in boxes),
        degenerate=flags(box is not None and box.degenerate for box in boxes),
    )


_COLUMNS = (
    "status", "gt_absent", "said_not_visible", "pred_point", "contradictory", "out_of_range", "missing_mask",
    "details", "roborefer_dropped", "l2", "l2_full", "hit", "hit_tight", "at_removed", "correct", "pred_box",
    "box",
)  # fmt: skip
"""The fields of a score that a table holds."""
_FIELDS_OF = attrgetter(*_COLUMNS)


Rate = Callable[[Table], tuple[Float64, Float64]]
"""A function that returns part and whole, each ``[N]`` and finite."""


def _mean(values: Float64 | Bool, among: Bool) -> tuple[Float64, Float64]:
    """Part and whole of the mean of ``values`` over the samples ``among``."""
    return np.where(among, values, 0.0).astype(np.float64), among.astype(np.float64)


def not_visible_accuracy(table: Table) -> tuple[Float64, Float64]:
    """Recall of NOT_VISIBLE: the share of NOT_VISIBLE answers among samples without a visible object."""
    return _mean(table.said_not_visible, table.hidden)


def not_visible_precision(table: Table) -> tuple[Float64, Float64]:
    """Precision of NOT_VISIBLE: the share of samples without a visible object among NOT_VISIBLE answers."""
    return _mean(table.hidden, table.said_not_visible)


def not_visible_f1(table: Table) -> tuple[Float64, Float64]:
    """Harmonic mean of precision and recall: 2 TP / (predicted positives + actual positives)."""
    both = table.said_not_visible & table.hidden
    return np.where(both, 2.0, 0.0), table.said_not_visible.astype(np.float64) + table.hidden


def false_not_visible_rate(table: Table) -> tuple[Float64, Float64]:
    """Share of NOT_VISIBLE answers among samples with a visible object."""
    return _mean(table.said_not_visible, table.visible)


def visible_recall(table: Table) -> tuple[Float64, Float64]:
    """Share of points (or boxes, if asked for) among the answers to samples with a visible object."""
    return _mean(table.said_point, table.visible & np.isnan(table.correct))


def hit_at_mask(table: Table) -> tuple[Float64, Float64]:
    """Share of hits among visible samples with a mask, whatever the answer."""
    return _mean(table.hit, ~np.isnan(table.hit))


def hit_at_mask_answered(table: Table) -> tuple[Float64, Float64]:
    """Share of hits among visible samples with a mask that were answered with a point."""
    return _mean(table.hit, ~np.isnan(table.hit) & table.said_point)


def hit_at_mask_evaluated(table: Table) -> tuple[Float64, Float64]:
    """Mean over the samples that RoboRefer's own code gives a score; rule roborefer only."""
    return _mean(table.hit, ~np.isnan(table.hit) & (table.evaluated == 1.0))


def hit_at_mask_tight(table: Table) -> tuple[Float64, Float64]:
    """Share of hits in the tight mask among visible samples with a tight mask."""
    return _mean(table.hit_tight, ~np.isnan(table.hit_tight))


def mean_l2_error(table: Table) -> tuple[Float64, Float64]:
    """Mean normalised distance in the query image, over visible samples answered with a point."""
    return _mean(table.l2, ~np.isnan(table.l2))


def mean_l2_error_full(table: Table) -> tuple[Float64, Float64]:
    """Mean normalised distance in the side-by-side image; t1_concat only."""
    return _mean(table.l2_full, ~np.isnan(table.l2_full))


def points_at_removed(table: Table) -> tuple[Float64, Float64]:
    """Share of points at the old place of the object among samples whose object was removed."""
    return _mean(table.at_removed, ~np.isnan(table.at_removed))


def mean_iou(table: Table) -> tuple[Float64, Float64]:
    """Mean IoU with the tight box of the mask among visible samples with a mask; 0 for other answers."""
    return _mean(table.iou, ~np.isnan(table.iou))


def iou_050(table: Table) -> tuple[Float64, Float64]:
    """Share of boxes with an IoU of at least 0.5 among visible samples with a mask, whatever the answer."""
    with np.errstate(invalid="ignore"):
        return _mean(table.iou >= HALF, ~np.isnan(table.iou))


def centre_in_mask(table: Table) -> tuple[Float64, Float64]:
    """Share of boxes whose centre lies in the mask among visible samples with a mask, whatever the answer."""
    return _mean(table.centre_in_mask, ~np.isnan(table.centre_in_mask))


def accuracy(table: Table) -> tuple[Float64, Float64]:
    """Share of correct answers for tasks without points; unparsed answers are incorrect."""
    return _mean(table.correct, ~np.isnan(table.correct))


def _success(radius: float) -> Rate:
    def success(table: Table) -> tuple[Float64, Float64]:
        with np.errstate(invalid="ignore"):
            among = table.visible & np.isnan(table.correct) & ~table.asked_box
            return _mean(table.l2 <= radius, among)

    return success


RATES: dict[str, Rate] = {
    "not_visible_accuracy": not_visible_accuracy,
    "not_visible_precision": not_visible_precision,
    "not_visible_recall": not_visible_accuracy,
    "not_visible_f1": not_visible_f1,
    "false_not_visible_rate": false_not_visible_rate,
    "visible_recall": visible_recall,
    "mean_l2_error": mean_l2_error,
    "mean_l2_error_full": mean_l2_error_full,
    **{name: _success(radius) for name, radius in SUCCESS_RADII.items()},
    "hit_at_mask": hit_at_mask,
    "hit_at_mask_answered": hit_at_mask_answered,
    "hit_at_mask_evaluated": hit_at_mask_evaluated,
    "hit_at_mask_tight": hit_at_mask_tight,
    "points_at_removed": points_at_removed,
    "mean_iou": mean_iou,
    "iou_050": iou_050,
    "centre_in_mask": centre_in_mask,
    "accuracy": accuracy,
}
DISTANCES = frozenset({"mean_l2_error", "mean_l2_error_full"})
"""Entries of ``RATES`` that are means of distances, not shares."""
MEANS_OF: dict[str, tuple[str, ...]] = {
    "balanced_accuracy": ("not_visible_accuracy", "visible_recall"),
}
"""Metric → the rates whose mean it is; null if one of them is null."""
L2_SPREAD = ("std_l2_error", "median_l2_error")
"""Metrics of distances that are not rates: standard deviation (ddof 0) and median."""
OF_BOXES = ("mean_iou", "iou_050", "centre_in_mask", "boxes_swapped", "boxes_degenerate")
"""Metrics of boxes, left out elsewhere; those of points are null where boxes were asked for."""
ESTIMATED: tuple[str, ...] = (*RATES, *MEANS_OF, *L2_SPREAD)
"""All metrics with an interval."""


def _asks_for_boxes(table: Table) -> bool:
    return bool(table.asked_box.any())


APPLIES: dict[str, Callable[[Table], bool]] = {
    **dict.fromkeys(OF_BOXES, _asks_for_boxes),
    "hit_at_mask_evaluated": lambda table: bool((~np.isnan(table.evaluated)).any()),
    "accuracy": lambda table: bool((~np.isnan(table.correct)).any()),
    "points_at_removed": lambda table: bool((~np.isnan(table.at_removed)).any()),
}
"""Metric → whether it applies to these scores; metrics that are not listed always apply."""


def _always(table: Table) -> bool:
    """For counts that apply to all scores."""
    return True


COUNTS: dict[str, Callable[[Table], Value]] = {
    "total": len,
    "gt_not_visible": lambda table: int(table.hidden.sum()),
    "visible_gt": lambda table: int(table.visible.sum()),
    "hit_at_mask_count": lambda table: _whole(float(np.nansum(table.hit))),
    "hit_at_mask_total": lambda table: int((~np.isnan(table.hit)).sum()),
    "hit_at_mask_evaluated_total": lambda table: int((table.evaluated == 1.0).sum()),
    "hit_at_mask_tight_total": lambda table: int((~np.isnan(table.hit_tight)).sum()),
    "parse_failures": lambda table: int(table.unparsed.sum()),
    "out_of_range": lambda table: int(table.out_of_range.sum()),
    "contradictory": lambda table: int(table.contradictory.sum()),
    "missing_mask": lambda table: int(table.missing_mask.sum()),
    "boxes_swapped": lambda table: int(table.swapped.sum()),
    "boxes_degenerate": lambda table: int(table.degenerate.sum()),
    "cut_off": lambda table: int(table.cut_off.sum()),
    "errors": lambda table: int(table.error.sum()),
}


def _whole(value: float) -> float | int:
    """A count as an integer; counts by RoboRefer's rule may be fractional."""
    return int(value) if value.is_integer() else value


def value_of(name: str, table: Table) -> float | None:
    """The value of a metric of ``ESTIMATED`` over the whole table; None if its denominator is zero."""
    if name in RATES:
        part, whole = RATES[name](table)
        total = float(whole.sum())
        return float(part.sum()) / total if total else None
    if name in MEANS_OF:
        parts = [value_of(rate, table) for rate in MEANS_OF[name]]
        known = [part for part in parts if part is not None]
        return sum(known) / len(known) if len(known) == len(parts) else None
    distances = table.l2[~np.isnan(table.l2)]
    if distances.size == 0:
        return None
    return float(np.std(distances) if name == "std_l2_error" else np.median(distances))


def applies(name: str, table: Table) -> bool:
    """Whether a metric of ``ESTIMATED`` applies to these scores."""
    return name not in APPLIES or APPLIES[name](table)


def estimated(table: Table) -> tuple[str, ...]:
    """The metrics of ``ESTIMATED`` that apply to these scores."""
    return tuple(name for name in ESTIMATED if applies(name, table))


def compute(table: Table) -> dict[str, Value]:
    """All metrics that apply, those of the source document first; None if a denominator is zero."""
    values: dict[str, Value] = {
        name: count(table)
        for name, count in COUNTS.items()
        if APPLIES.get(name.removesuffix("_total"), _always)(table)
    }
    values |= {name: value_of(name, table) for name in estimated(table)}
    return {name: values[name] for name in (*METRICS, *values)}
