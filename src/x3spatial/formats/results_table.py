"""Conversion of results to a table, and of samples to a data frame."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from x3spatial.errors import packages_of
from x3spatial.formats.metric_titles import title_of
from x3spatial.formats.results_entry import SampleResult
from x3spatial.tables import Table, figure

if TYPE_CHECKING:
    import pandas as pd

    from x3spatial.formats.results_file import ScoringInfo

UNKNOWN, NONE = "unknown", "none"
"""Kinds of masks beside ``tight`` and ``dilated``: only the files tell, and samples without a mask."""

_SHOWN = (
    "total",
    "visible_gt",
    "hit_at_mask",
    "not_visible_accuracy",
    "false_not_visible_rate",
    "balanced_accuracy",
    "accuracy",
    "mean_l2_error",
    "success_005",
    "parse_failures",
    "errors",
)
"""Metrics of the table; a results file contains all metrics."""


def results_table(
    title: str,
    metrics: Mapping[str, Any],
    ci95: Mapping[str, Sequence[float] | None],
    ci_unit: str | None,
) -> Table:
    """The main metrics with their intervals; metrics that do not apply are omitted."""
    rows = [
        (title_of(name), figure(metrics[name]), _interval(ci95.get(name)))
        for name in _SHOWN
        if metrics.get(name) is not None
    ]
    unit = f"95 % over {ci_unit}s" if ci_unit else "95 %"
    return Table(title, ("metric", "value", unit), tuple(rows))


def conditions(scoring: ScoringInfo, build_seed: int | None) -> str:
    """What figures depend on besides model and data: ``dilated masks, build seed 42``."""
    # Without kinds: no sample, or a file of an earlier version.
    chosen = "the records' masks" if scoring.mask == "auto" else f"{scoring.mask} masks"
    parts = [masks_in_words(scoring.mask_kinds) or chosen]
    if build_seed is not None:
        parts.append(f"build seed {build_seed}")
    if scoring.rule != "x3":
        parts.append(f"scored by {scoring.rule}'s rule")
    return ", ".join(parts)


def masks_in_words(kinds: Iterable[str]) -> str:
    """Kinds of masks as text; empty without kinds.

    >>> masks_in_words(["dilated", "tight"]), masks_in_words(["none"]), masks_in_words(["tight", "unknown"])
    ('dilated and tight masks', 'no masks', 'tight masks and masks of unknown kind')
    """
    kinds = set(kinds)
    named = " and ".join(sorted(kinds - {UNKNOWN, NONE}))
    words = [f"{named} masks"] if named else []
    words += ["masks of unknown kind"] if UNKNOWN in kinds else []
    if kinds and not words:
        words = ["no masks"]
    return " and ".join(words)


def samples_frame(results: Iterable[SampleResult]) -> pd.DataFrame:
    """One row per sample: ids, texts, coordinates in separate columns, scores.

    Raises:
        UserError: pandas is not installed.
    """
    with packages_of("dataframe", ".to_dataframe()"):
        import pandas as pd
    return pd.DataFrame([_row(entry) for entry in results], columns=list(_COLUMNS))


_COLUMNS: dict[str, Callable[[SampleResult], Any]] = {
    "id": lambda s: s.id,
    "scene": lambda s: s.scene,
    "uid": lambda s: s.uid,
    "status": lambda s: s.status,
    "pred_text": lambda s: s.pred_text,
    "pred_not_visible": lambda s: s.pred_parsed.is_not_visible,
    "pred_x": lambda s: None if s.pred_parsed.coord is None else s.pred_parsed.coord[0],
    "pred_y": lambda s: None if s.pred_parsed.coord is None else s.pred_parsed.coord[1],
    "gt_text": lambda s: s.gt.text,
    "gt_not_visible": lambda s: s.gt.is_not_visible,
    "gt_x": lambda s: None if s.gt.coord is None else s.gt.coord[0],
    "gt_y": lambda s: None if s.gt.coord is None else s.gt.coord[1],
    "l2_error": lambda s: s.l2_error,
    "hit_mask": lambda s: s.hit_mask,
    "hit_mask_tight": lambda s: s.hit_mask_tight,
    "contradictory": lambda s: s.contradictory,
    "out_of_range": lambda s: s.out_of_range,
    "missing_mask": lambda s: s.missing_mask,
    "correct": lambda s: s.correct,
    "error": lambda s: s.error,
}


def _row(entry: SampleResult) -> dict[str, Any]:
    return {name: get(entry) for name, get in _COLUMNS.items()}


def _interval(interval: Sequence[float] | None) -> str:
    return "" if interval is None else f"[{interval[0]:.3f}, {interval[1]:.3f}]"
