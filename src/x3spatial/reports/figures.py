"""How metrics are printed: one text per figure, the same in tables, plots and the report."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from x3spatial.errors import UserError
from x3spatial.evaluation.statistics.metrics import COUNTS, DISTANCES, ESTIMATED, L2_SPREAD
from x3spatial.formats.metric_titles import TITLES, title_of

Kind = Literal["share", "distance", "count"]
MISSING = "–"
"""Stands for a figure that is null."""
MINUS = "−"
_DECIMALS: dict[Kind, int] = {"share": 1, "distance": 3, "count": 0}
_LOWER_IS_BETTER = frozenset(
    {"false_not_visible_rate", "points_at_removed", "parse_failures", "errors", *DISTANCES}
    | {"median_l2_error"}
)
_NEITHER = frozenset({"std_l2_error", "hit_at_mask_evaluated"})
DEFAULT_METRICS = (
    "hit_at_mask",
    "mean_iou",
    "iou_050",
    "centre_in_mask",
    "balanced_accuracy",
    "not_visible_accuracy",
    "false_not_visible_rate",
    "accuracy",
    "median_l2_error",
    "success_005",
)
"""The columns of tables without a choice of metrics."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric as a column of tables."""

    key: str
    """In a results file's ``metrics``."""
    title: str
    kind: Kind
    """A share is printed in percent."""
    higher_is_better: bool | None
    """None: neither is better."""
    default: bool
    """Whether tables show it without being asked."""

    @property
    def unit(self) -> str:
        """``%`` for shares."""
        return "%" if self.kind == "share" else ""

    @property
    def head(self) -> str:
        """Title with unit, for the head of a column."""
        return f"{self.title} (%)" if self.kind == "share" else self.title


def metric_of(key: str) -> Metric:
    """The metric of a results file, also of one that another package registered."""
    kind: Kind = "share"
    if key in COUNTS:
        kind = "count"
    elif key in DISTANCES or key in L2_SPREAD or key not in ESTIMATED:
        kind = "distance"
    better: bool | None = None
    if key in _LOWER_IS_BETTER:
        better = False
    elif key in ESTIMATED and key not in _NEITHER:
        better = True
    return Metric(key, title_of(key), kind, better, key in DEFAULT_METRICS)


def all_metrics() -> tuple[Metric, ...]:
    """All metrics, in the order of columns."""
    known = (*TITLES, *ESTIMATED, *COUNTS)
    return tuple(
        metric_of(key) for key in dict.fromkeys(known) if key in ESTIMATED or key in COUNTS
    )


def choose_metrics(names: Iterable[str] | None, option: str = "--metrics") -> tuple[Metric, ...]:
    """The metrics with these names, in that order; None for the default columns, ``all`` for all.

    Raises:
        UserError: a name is unknown; the message names ``option``.
    """
    if names is None:
        return tuple(metric_of(key) for key in DEFAULT_METRICS)
    known = {metric.key: metric for metric in all_metrics()}
    chosen: dict[str, Metric] = {}
    for name in names:
        if name == "all":
            chosen |= known
        elif name in known:
            chosen[name] = known[name]
        else:
            raise UserError(f"{option} {name}: known are all, {', '.join(known)}")
    if not chosen:
        raise UserError(f"{option}: name at least one metric")
    return tuple(chosen.values())


def metric_text(key: str, value: float | None) -> str:
    """The printed text of a metric: ``46.3`` for a share (percent), ``0.087`` for a distance, ``120``."""
    if value is None:
        return MISSING
    return _number(key, value, "")


def interval_texts(key: str, interval: Sequence[float] | None) -> tuple[str, str] | None:
    """The printed bounds of an interval, with as many digits as the metric; None without one."""
    if interval is None:
        return None
    low, high = interval
    return metric_text(key, low), metric_text(key, high)


def interval_text(key: str, interval: Sequence[float] | None) -> str:
    """``[39.4, 53.2]``; empty without an interval."""
    texts = interval_texts(key, interval)
    return "" if texts is None else f"[{texts[0]}, {texts[1]}]"


def difference_text(key: str, value: float | None) -> str:
    """A difference with its sign: ``+3.1`` points of percent, ``−0.012``."""
    if value is None:
        return MISSING
    return _number(key, value, "+").replace("-", MINUS)


def _number(key: str, value: float, sign: str) -> str:
    kind = metric_of(key).kind
    if kind == "count":
        # By RoboRefer's rule a count may be a fraction.
        return f"{value:{sign}g}" if isinstance(value, float) else f"{value:{sign}d}"
    shown = value * 100 if kind == "share" else value
    text = f"{shown:{sign}.{_DECIMALS[kind]}f}"
    return text if float(text) else text.replace("-", "+" if sign else "")
