"""Diagnosis of a model's answers: checks that pass, fail with a reason, or cannot be decided."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from x3spatial.evaluation.check_model.faults import (
    RIGHT,
    TOLERANCE,
    Fault,
    Kind,
    Observation,
    by_size,
    explain,
)
from x3spatial.evaluation.check_model.questions import Probe
from x3spatial.formats.results_entry import SampleResult
from x3spatial.tasks.boxes import Box
from x3spatial.tasks.geometry import Point
from x3spatial.tasks.question import Size

Verdict = Literal["pass", "fail", "cannot tell"]

POINTS, ABSENT = "points", "NOT_VISIBLE"
"""Names of checks."""

LEAST_POINTS = 0.75
"""Minimum share of the questions with a dot that must be answered with a point to diagnose points."""
LEAST_ABSENT = 0.5
"""Minimum share of the questions without a dot that must be answered with NOT_VISIBLE."""
BATCH_SHIFT = 0.01
"""Tolerance between batch sizes as a part of the diagonal: rounding in half precision can change a last
digit. If a question is repeated with the same batch size, the texts must be equal."""


@dataclass(frozen=True, slots=True)
class ProbeAnswer:
    """A question with its answer from the results file."""

    probe: Probe
    text: str | None
    """None without an answer."""
    point: Point | None
    """The answer's point, or the centre of its box if the family answers with boxes."""
    absent: bool
    """Whether the answer is NOT_VISIBLE."""
    error: str | None
    pixels: tuple[Size, ...]

    @classmethod
    def of(cls, probe: Probe, entry: SampleResult, *, counts_pixels: bool) -> ProbeAnswer:
        """Combine a question and its results entry; ``counts_pixels``: keep the entry's image sizes."""
        coord, box = entry.pred_parsed.coord, entry.pred_parsed.box
        point = None if coord is None else Point(*coord)
        return cls(
            probe,
            entry.pred_text,
            point if box is None else Box(*box).centre,
            bool(entry.pred_parsed.is_not_visible),
            entry.error,
            entry.pixel_sizes if counts_pixels else (),
        )

    @property
    def observation(self) -> Observation | None:
        """The point and its dot; None if one of them is missing."""
        dot = self.probe.dot
        if dot is None or self.point is None:
            return None
        return Observation(
            self.probe.size, dot, self.point, self.pixels, self.probe.first_size, self.probe.decoy
        )


@dataclass(frozen=True, slots=True)
class Check:
    """One check and its verdict."""

    name: str
    verdict: Verdict
    detail: str


@dataclass(frozen=True, slots=True)
class SizeRow:
    """The answers for images of one size."""

    images: str
    """``640x480``, or ``448x448 + 1280x720`` for questions about the second image."""
    asked: int
    points: int
    not_visible: int
    unparsed: int
    errors: int
    median_px: float | None
    """Median distance between points and dots, in pixels of the query image; None without points."""
    median_part: float | None
    """The same as a part of the diagonal of that image."""
    worst_px: float | None


def size_rows(answers: Sequence[ProbeAnswer]) -> list[SizeRow]:
    """One row per size (and size of the first image) of the questions with a dot, in their order."""
    groups: dict[str, list[ProbeAnswer]] = {}
    for one in answers:
        if one.probe.dot is not None:
            groups.setdefault(_images(one.probe), []).append(one)
    return [_row(images, group) for images, group in groups.items()]


def _images(probe: Probe) -> str:
    sizes = [probe.size] if probe.first_size is None else [probe.first_size, probe.size]
    return " + ".join(f"{width}x{height}" for width, height in sizes)


def _row(images: str, group: Sequence[ProbeAnswer]) -> SizeRow:
    observations = [one.observation for one in group if one.observation is not None]
    errors = [s.error(s.point) for s in observations]
    return SizeRow(
        images=images,
        asked=len(group),
        points=len(observations),
        not_visible=sum(one.absent for one in group),
        unparsed=sum(_unparsed(one) for one in group),
        errors=sum(one.text is None for one in group),
        median_px=float(np.median(errors)) if errors else None,
        median_part=float(np.median(errors)) / observations[0].diagonal if errors else None,
        worst_px=max(errors, default=None),
    )


def _unparsed(one: ProbeAnswer) -> bool:
    return one.text is not None and one.point is None and not one.absent


def diagnose(
    answers: Sequence[ProbeAnswer], alone: Sequence[ProbeAnswer], again: Sequence[ProbeAnswer]
) -> list[Check]:
    """Run all checks.

    Args:
        answers: the answers to all questions, asked in batches.
        alone: the answers to some of them, asked one at a time.
        again: the answers to the same questions, asked one at a time once more.
    """
    asked = [one for one in answers if one.probe.dot is not None]
    single = _Diagnosis.of("one image", [one for one in asked if one.probe.first_size is None])
    double = _Diagnosis.of("two images", [one for one in asked if one.probe.first_size is not None])
    both = (single, double)
    return [
        _answered(answers),
        _pointing(asked, both),
        _suspicion("axes", "axes", both),
        _suspicion("scale", "scale", both),
        _suspicion("image", "which image", (double,)),
        _suspicion("resize", "resized image", both),
        _absent(answers),
        *_repeated(answers, alone, again),
    ]


@dataclass(frozen=True, slots=True)
class _Diagnosis:
    """The fault that explains one group of questions."""

    name: str
    fault: Fault | None
    why_not: str = ""
    """The reason if no fault explains them."""

    @classmethod
    def of(cls, name: str, group: Sequence[ProbeAnswer]) -> _Diagnosis:
        observations = [one.observation for one in group if one.observation is not None]
        if len(observations) < LEAST_POINTS * len(group):
            return cls(name, None, f"only {len(observations)} of {len(group)} answers are points")
        fault = explain(observations)
        if fault is not None:
            return cls(name, fault)
        return cls(name, None, _unexplained(observations))


def _unexplained(observations: Sequence[Observation]) -> str:
    if len({s.point for s in observations}) == 1:
        return "every answer is the same point"
    wrong = []
    groups = by_size(observations)
    for (size, _), group in groups:
        median = float(np.median([s.error(s.point) for s in group]))
        if median > TOLERANCE * group[0].diagonal:
            wrong.append(f"{median:.0f} px at {size[0]}x{size[1]}")
    everywhere = "at every size" if len(wrong) == len(groups) else "at some sizes"
    return f"errors {everywhere} that no known fault explains (median {', '.join(wrong)})"


def _answered(answers: Sequence[ProbeAnswer]) -> Check:
    failed = [one for one in answers if one.text is None]
    if not failed:
        return Check("answers", "pass", f"all {len(answers)} questions were answered")
    return Check(
        "answers",
        "fail",
        f"{len(failed)} of {len(answers)} questions stayed without an answer; first: {failed[0].error}",
    )


def _pointing(asked: Sequence[ProbeAnswer], groups: Sequence[_Diagnosis]) -> Check:
    points = sum(one.point is not None for one in asked)
    absent = sum(one.absent for one in asked)
    if points < LEAST_POINTS * len(asked):
        unread = [one.text for one in asked if _unparsed(one)]
        counts = f"{points} of {len(asked)} answers are points"
        if len(unread) >= absent and unread:
            return Check(
                POINTS,
                "cannot tell",
                f"{counts}, {len(unread)} cannot be read in the model's convention, such as"
                f" {_short(unread[0])}: another --convention, or a model that does not point",
            )
        return Check(POINTS, "cannot tell", f"{counts}, {absent} are NOT_VISIBLE")
    worst = [row.median_part for row in size_rows(asked) if row.median_part is not None]
    if all(group.fault is RIGHT for group in groups):
        return Check(POINTS, "pass", f"median error at most {max(worst):.1%} of the diagonal")
    unexplained = [group for group in groups if group.fault is None]
    if unexplained:
        return Check(POINTS, "cannot tell", _named([(g.name, g.why_not) for g in unexplained]))
    wrong = [(g.name, g.fault.text) for g in groups if g.fault not in (None, RIGHT) and g.fault]
    return Check(POINTS, "fail", _named(wrong))


def _suspicion(kind: Kind, name: str, groups: Sequence[_Diagnosis]) -> Check:
    guilty = [
        (g.name, g.fault.text) for g in groups if g.fault is not None and kind in g.fault.kinds
    ]
    if guilty:
        return Check(name, "fail", _named(guilty))
    if any(group.fault is None for group in groups):
        return Check(name, "cannot tell", "")  # the check of the points contains the reason
    return Check(name, "pass", "")


def _named(reasons: Sequence[tuple[str, str]]) -> str:
    """``group: reason`` for each group; groups with the same reason are combined."""
    by_reason: dict[str, list[str]] = {}
    for group, reason in reasons:
        by_reason.setdefault(reason, []).append(group)
    return "; ".join(f"{' and '.join(names)}: {reason}" for reason, names in by_reason.items())


def _absent(answers: Sequence[ProbeAnswer]) -> Check:
    empty = [one for one in answers if one.probe.dot is None]
    said = sum(one.absent for one in empty)
    full = [one for one in answers if one.probe.dot is not None]
    wrongly = sum(one.absent for one in full)
    text = f"{said} of {len(empty)} images without a dot are answered NOT_VISIBLE"
    if wrongly > LEAST_ABSENT * len(full):
        return Check(ABSENT, "fail", f"{text}, but so are {wrongly} of {len(full)} with one")
    if said >= LEAST_ABSENT * len(empty):
        return Check(ABSENT, "pass", text)
    other = next((one.text for one in empty if not one.absent and one.text is not None), None)
    example = "" if other is None else f"; one says {_short(other)}"
    return Check(ABSENT, "fail", text + example)


def _repeated(
    answers: Sequence[ProbeAnswer], alone: Sequence[ProbeAnswer], again: Sequence[ProbeAnswer]
) -> list[Check]:
    unlike = [(a, b) for a, b in zip(alone, again, strict=True) if a.text != b.text]
    total = len(alone)
    if all(one.text is None for one in alone):
        nothing = "no question was answered"
        return [Check(name, "cannot tell", nothing) for name in ("asked twice", "batches")]
    if unlike:
        a, b = unlike[0]
        differ = (
            f"{len(unlike)} of {total} answers differ, such as {_short(a.text)}, {_short(b.text)}"
        )
        return [
            Check("asked twice", "fail", differ),
            Check("batches", "cannot tell", "answers differ even when asked in the same way"),
        ]
    twice = Check("asked twice", "pass", f"{total} answers, the same texts")
    batched = {one.probe.record.id: one for one in answers}
    pairs = [(one, batched[one.probe.record.id]) for one in alone]
    pairs = [(a, b) for a, b in pairs if a.text != b.text]
    if not pairs:
        return [
            twice,
            Check("batches", "pass", f"{total} answers, the same texts as one at a time"),
        ]
    differ = f"{len(pairs)} of {total} answers differ from those asked one at a time"
    moved = [_moved(a, b) for a, b in pairs]
    shifts = [shift for shift in moved if shift is not None]
    if len(shifts) == len(moved) and max(shifts) <= BATCH_SHIFT:
        return [
            twice,
            Check("batches", "pass", f"{differ}, by rounding: {max(shifts):.2%} at most"),
        ]
    a, b = next(
        pair for pair, shift in zip(pairs, moved, strict=True)
        if shift is None or shift > BATCH_SHIFT
    )  # fmt: skip
    return [
        twice,
        Check("batches", "fail", f"{differ}, such as {_short(b.text)} for {_short(a.text)}"),
    ]


def _moved(a: ProbeAnswer, b: ProbeAnswer) -> float | None:
    """Distance between the points of two answers as a part of the diagonal; None if one is not a point."""
    if a.point is None or b.point is None or a.observation is None:
        return 0.0 if a.absent and b.absent else None
    moved = Observation(a.probe.size, b.point, a.point)
    return moved.error(a.point) / moved.diagonal


def _short(text: str | None) -> str:
    probe = repr(text)
    return probe if len(probe) <= 60 else f"{probe[:57]}..."
