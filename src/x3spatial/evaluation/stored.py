"""Conversion between scores and the entries of a results file."""

from __future__ import annotations

from collections.abc import Iterable

from x3spatial.evaluation.inference import Reply
from x3spatial.evaluation.scoring.scores import SUCCESS_RADII, Score
from x3spatial.formats.results_entry import (
    Coordinate,
    GroundTruth,
    ParsedAnswer,
    SampleResult,
)
from x3spatial.formats.results_file import ResultsFile, ScoringRule
from x3spatial.tasks.boxes import Box
from x3spatial.tasks.geometry import Point


def entry_of(score: Score, rule: ScoringRule) -> SampleResult:
    """The entry of ``score``, which was computed by ``rule``."""
    answered = score.status != "error"
    visible = not score.gt_absent
    success = score.l2 is not None and score.l2 <= SUCCESS_RADII["success_010"]
    return SampleResult(
        id=score.id,
        pred_text=score.pred_text,
        pred_parsed=ParsedAnswer(
            is_not_visible=score.said_not_visible if answered else None,
            coord=_coordinate(score.pred_point),
            value=score.pred_value,
            box=None if score.pred_box is None else score.pred_box.corners,
        ),
        gt=GroundTruth(
            score.gt_text, not visible, _coordinate(score.gt_point), value=score.gt_value
        ),
        l2_error=score.l2,
        success_l2_010=success if answered and visible and score.box is None else None,
        hit_mask=_stored_hit(score.hit, rule),
        status=score.status,
        scene=score.scene,
        uid=score.uid,
        place=score.place,
        hit_mask_tight=_stored_hit(score.hit_tight, rule),
        l2_error_full=score.l2_full,
        contradictory=score.contradictory,
        out_of_range=score.out_of_range,
        missing_mask=score.missing_mask,
        at_removed=score.at_removed,
        roborefer_dropped=score.roborefer_dropped,
        box=score.box,
        images_seen=score.images_seen,
        correct=score.correct,
        pixel_sizes=score.pixel_sizes,
        details=dict(score.details),
        error=score.error,
    )


def score_of(entry: SampleResult) -> Score:
    """The score of an entry; the inverse of ``entry_of``."""
    return Score(
        id=entry.id,
        scene=entry.scene,
        uid=entry.uid,
        place=entry.place,
        status=entry.status,
        gt_text=entry.gt.text,
        gt_point=_point(entry.gt.coord),
        gt_absent=entry.gt.is_not_visible,
        pred_text=entry.pred_text,
        pred_point=_point(entry.pred_parsed.coord),
        said_not_visible=bool(entry.pred_parsed.is_not_visible),
        contradictory=entry.contradictory,
        out_of_range=entry.out_of_range,
        l2=entry.l2_error,
        l2_full=entry.l2_error_full,
        hit=None if entry.hit_mask is None else float(entry.hit_mask),
        hit_tight=None if entry.hit_mask_tight is None else float(entry.hit_mask_tight),
        missing_mask=entry.missing_mask,
        at_removed=entry.at_removed,
        roborefer_dropped=entry.roborefer_dropped,
        pred_box=None if entry.pred_parsed.box is None else Box(*entry.pred_parsed.box),
        box=entry.box,
        pred_value=entry.pred_parsed.value,
        gt_value=entry.gt.value,
        correct=entry.correct,
        error=entry.error,
        images_seen=entry.images_seen,
        pixel_sizes=entry.pixel_sizes,
        details=entry.details,
    )


def stored_replies(entries: Iterable[SampleResult]) -> dict[str, Reply]:
    """Sample id → the model's reply."""
    return {entry.id: reply_of(entry) for entry in entries}


def reply_of(entry: SampleResult) -> Reply:
    """The model's reply to one sample."""
    return Reply(entry.pred_text, entry.error, entry.images_seen, entry.pixel_sizes, entry.details)


def failures(results: ResultsFile) -> list[str]:
    """``id: error`` of every sample without an answer."""
    return [f"{entry.id}: {entry.error}" for entry in results.results if entry.status == "error"]


def _coordinate(point: Point | None) -> Coordinate | None:
    return None if point is None else (point.x, point.y)


def _point(coordinate: Coordinate | None) -> Point | None:
    return None if coordinate is None else Point(*coordinate)


def _stored_hit(hit: float | None, rule: ScoringRule) -> bool | float | None:
    return bool(hit) if hit is not None and rule == "x3" else hit
