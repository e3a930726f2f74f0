"""Whether answers to related questions are right together: the same object asked in both directions, in all
its views, with and without it.

Each figure is a share of *units* (pairs of samples, or objects) that are right as a whole, with an interval,
and beside it what independent answers of the same rates would give.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from x3spatial.evaluation.scoring.scores import Score
from x3spatial.evaluation.statistics.intervals import (
    FEWEST,
    RESAMPLES,
    clusters_of,
    draw_counts,
    interval_of,
    wilson,
)
from x3spatial.formats.results_file import CiMethod, ConsistencyRow, Interval
from x3spatial.formats.task_file import TaskRecord
from x3spatial.tasks.spec import Views


@dataclass(frozen=True, slots=True)
class Unit:
    """Samples that are right or wrong together."""

    scores: tuple[Score, ...]

    @property
    def right(self) -> bool:
        """Whether every answer is right."""
        return all(map(is_right, self.scores))


def is_right(score: Score) -> bool:
    """Whether an answer is right: a hit, or the absent token where nothing is there."""
    return score.said_not_visible if score.gt_absent else score.hit == 1.0


def _counts(score: Score) -> bool:
    """Whether a sample was answered, and has a mask if the object is visible."""
    return score.status != "error" and (score.gt_absent or score.hit is not None)


def consistency(
    records: Sequence[TaskRecord], scores: Sequence[Score]
) -> dict[str, ConsistencyRow]:
    """The figures of one set of questions with two views; empty for other sets.

    ``cycle``: pairs of views that both show the object, asked in both directions, where both answers hit.
    ``object_all_right``: objects with at least two samples all of whose answers are right.

    Args:
        records: the questions.
        scores: one per record, in the same order.
    """
    asked = [
        (record, score)
        for record, score in zip(records, scores, strict=True)
        if record.spec.views is Views.TWO and not record.spec.mask_of_removed and _counts(score)
    ]
    if not asked:
        return {}
    return {
        "cycle": row_of(_cycles(asked)),
        "object_all_right": row_of(_objects(records, asked)),
    }


def follows_object(
    scores: Iterable[Score], without: Iterable[Score], twins: Mapping[str, str]
) -> ConsistencyRow:
    """Twin questions where the answer hits with the object in place and is NOT_VISIBLE without it.

    Args:
        scores: the answers with the object in place.
        without: the answers to the same questions with the object removed.
        twins: id of a question without the object → id of the one with it.
    """
    plain = {score.id: score for score in scores if _counts(score)}
    units = [
        Unit((plain[twins[score.id]], score))
        for score in without
        if _counts(score) and twins.get(score.id) in plain
    ]
    return row_of(units)


def _cycles(asked: Sequence[tuple[TaskRecord, Score]]) -> list[Unit]:
    by_views = {
        (record.task, record.scene, record.uid, _reference(record), _query(record)): score
        for record, score in asked
        if not score.gt_absent
    }
    return [
        Unit((score, by_views[*key[:3], key[4], key[3]]))
        for key, score in by_views.items()
        if key[3] < key[4] and (*key[:3], key[4], key[3]) in by_views
    ]


def _objects(
    records: Sequence[TaskRecord], asked: Sequence[tuple[TaskRecord, Score]]
) -> list[Unit]:
    total: dict[tuple[str, str | None, str | None], int] = {}
    for record in records:
        key = (record.task, record.scene, record.uid)
        total[key] = total.get(key, 0) + 1
    found: dict[tuple[str, str | None, str | None], list[Score]] = {}
    for record, score in asked:
        found.setdefault((record.task, record.scene, record.uid), []).append(score)
    # An object with an unanswered sample is neither right nor wrong.
    return [
        Unit(tuple(scores))
        for key, scores in found.items()
        if len(scores) == total[key] >= 2 and key[1] is not None
    ]


def _reference(record: TaskRecord) -> str:
    return f"{record.ref_rank}_{record.ref_frame}"


def _query(record: TaskRecord) -> str:
    return f"{record.query_rank}_{record.query_frame}"


def row_of(units: Sequence[Unit]) -> ConsistencyRow:
    """The share of ``units`` that are right, its interval, and the share that independent answers would give.

    Independent answers hit, or say that nothing is there, at the rates of the samples of all units.
    """
    if not units:
        return ConsistencyRow(
            value=None, units=0, ci95=None, ci_method=None, ci_unit=None, independent=None
        )
    right = np.array([unit.right for unit in units], np.float64)
    samples = {(score.id, score.gt_absent): score for unit in units for score in unit.scores}
    rates = {
        absent: np.mean(
            [is_right(s) for (_, kind), s in samples.items() if kind == absent] or [False]
        )
        for absent in (False, True)
    }
    by_chance = [np.prod([rates[score.gt_absent] for score in unit.scores]) for unit in units]
    clusters = clusters_of([unit.scores[0] for unit in units])
    interval: Interval | None = None
    method: CiMethod | None = None
    if clusters.unit is None or len(np.unique(clusters.objects)) < FEWEST:
        pass
    elif right.all() or not right.any():
        interval, method = wilson(bool(right.all()), clusters.count), "wilson"
    else:
        part = np.bincount(clusters.index, right, minlength=clusters.count)
        whole = np.bincount(clusters.index, minlength=clusters.count).astype(np.float64)
        drawn = [
            (counts @ part) / (counts @ whole)
            for counts in draw_counts(clusters.count, RESAMPLES, 0)
        ]
        interval, method = interval_of(np.concatenate(drawn)), "bootstrap"
    return ConsistencyRow(
        value=float(right.mean()),
        units=len(units),
        ci95=interval,
        ci_method=method,
        ci_unit=clusters.unit,
        independent=float(np.mean(by_chance)),
    )
