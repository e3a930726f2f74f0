"""How metrics are called in tables and figures."""

from __future__ import annotations

TITLES: dict[str, str] = {
    "hit_at_mask": "Hit@Mask",
    "hit_at_mask_tight": "Hit@Mask, tight masks",
    "hit_at_mask_answered": "Hit@Mask of points",
    "hit_at_mask_evaluated": "Hit@Mask, RoboRefer's count",
    "balanced_accuracy": "balanced accuracy",
    "not_visible_accuracy": "NOT_VISIBLE accuracy",
    "not_visible_precision": "NOT_VISIBLE precision",
    "not_visible_recall": "NOT_VISIBLE recall",
    "not_visible_f1": "NOT_VISIBLE F1",
    "false_not_visible_rate": "false NOT_VISIBLE",
    "visible_recall": "visible recall",
    "points_at_removed": "points at the removed object",
    "accuracy": "accuracy",
    "mean_iou": "mean IoU",
    "iou_050": "IoU@0.5",
    "centre_in_mask": "box centre in mask",
    "median_l2_error": "median L2",
    "mean_l2_error": "mean L2",
    "std_l2_error": "std L2",
    "mean_l2_error_full": "mean L2, whole image",
    "success_002": "Success@0.02",
    "success_005": "Success@0.05",
    "success_010": "Success@0.10",
    "total": "samples",
    "visible_gt": "visible",
    "gt_not_visible": "not visible",
    "parse_failures": "unparsed",
    "out_of_range": "out of range",
    "cut_off": "cut off",
}
"""Metric → its title; the order is that of columns."""


def title_of(metric: str) -> str:
    """The title of a metric; one without an entry is called by its words."""
    return TITLES.get(metric, metric.replace("_", " "))
