"""What became of a sample: the outcomes that reports name, colour, filter and sort by."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from x3spatial.errors import UserError
from x3spatial.formats.results_entry import SampleResult
from x3spatial.tasks.boxes import HALF

Colour = tuple[int, int, int]

RIGHT, WRONG, NEITHER = (0, 120, 50), (185, 30, 30), (95, 95, 95)
"""Dark enough for white text on them (contrast above 5)."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A kind of result. Each sample has the first of ``OUTCOMES`` that applies to it."""

    name: str
    """Its name in options and files."""
    words: str
    """What a reader is shown."""
    right: bool | None
    """None: neither right nor wrong, because it was not answered or cannot be scored."""
    applies: Callable[[SampleResult], bool]

    @property
    def verdict(self) -> str:
        """RIGHT, WRONG, or what is the matter; colour alone does not say it."""
        if self.right is None:
            return self.words
        return f"{'RIGHT' if self.right else 'WRONG'}: {self.words}"

    @property
    def colour(self) -> Colour:
        """The colour of its verdict."""
        return NEITHER if self.right is None else RIGHT if self.right else WRONG


def _iou(entry: SampleResult) -> float:
    """The IoU of a sample that was asked for a box; -1 without one."""
    return -1.0 if entry.box is None or entry.box.iou is None else entry.box.iou


def _says_absent(entry: SampleResult) -> bool:
    return bool(entry.pred_parsed.is_not_visible)


OUTCOMES: dict[str, Outcome] = {
    outcome.name: outcome
    for outcome in (
        Outcome("error", "no answer", None, lambda e: e.status == "error"),
        Outcome("unparsed", "unparsed", False, lambda e: e.status == "unparsed"),
        Outcome("correct", "correct", True, lambda e: e.correct is True),
        Outcome("incorrect", "incorrect", False, lambda e: e.correct is False),
        Outcome(
            "not-visible",
            "not visible",
            True,
            lambda e: e.gt.is_not_visible and _says_absent(e),
        ),
        Outcome("false-point", "false point", False, lambda e: e.gt.is_not_visible),
        Outcome("false-not-visible", "false NOT_VISIBLE", False, _says_absent),
        Outcome("hit", "hit", True, lambda e: e.hit_mask == 1),
        Outcome("miss", "miss", False, lambda e: e.hit_mask == 0),
        Outcome("partial-hit", "some points hit", None, lambda e: e.hit_mask is not None),
        Outcome("box-right", "box, IoU at least 0.5", True, lambda e: _iou(e) >= HALF),
        Outcome("box-wrong", "box, IoU below 0.5", False, lambda e: _iou(e) >= 0),
        Outcome("no-mask", "no mask to score", None, lambda e: True),
    )
}
"""Name → outcome, in order of precedence."""

FILTERS: dict[str, Callable[[SampleResult], bool]] = {
    "right": lambda e: outcome_of(e).right is True,
    "wrong": lambda e: outcome_of(e).right is False,
    "out-of-range": lambda e: e.out_of_range,
    "contradictory": lambda e: e.contradictory,
    **{name: lambda e, name=name: outcome_of(e).name == name for name in OUTCOMES},  # type: ignore[misc]
}
"""Name → whether a sample is selected by it: groups, properties, and each outcome."""

SORTS: dict[str, str] = {
    "file": "in the order of the task file",
    "worst": "worst first",
    "best": "best first",
    "outcome": "outcomes in proportion",
}
"""Name → its words. Wrong answers are worse than right ones, and of those the ones with the larger L2."""


def outcome_of(entry: SampleResult) -> Outcome:
    """The outcome of one sample."""
    return next(outcome for outcome in OUTCOMES.values() if outcome.applies(entry))


def check_filters(names: Sequence[str], option: str) -> tuple[str, ...]:
    """``names`` of ``FILTERS``.

    Raises:
        UserError: one is unknown; the message names ``option`` and lists all.
    """
    for name in names:
        if name not in FILTERS:
            raise UserError(f"{option} {name}: must be one of {', '.join(FILTERS)}")
    return tuple(names)


def check_sort(name: str, option: str) -> str:
    """``name`` of ``SORTS``.

    Raises:
        UserError: it is unknown.
    """
    if name not in SORTS:
        raise UserError(f"{option} {name}: must be one of {', '.join(SORTS)}")
    return name


def is_selected(entry: SampleResult, names: Sequence[str]) -> bool:
    """Whether one of the filters ``names`` selects a sample; without any, all are selected."""
    return not names or any(FILTERS[name](entry) for name in names)


def badness(entry: SampleResult) -> tuple[int, float]:
    """A key that sorts samples from best to worst.

    Wrong answers follow right ones; among them a larger L2 (of boxes: a smaller IoU) follows a smaller one.
    Wrong answers without a distance precede those with one, so that the worst are points far from the object.
    """
    outcome = outcome_of(entry)
    rank = {True: 0, None: 1, False: 2}[outcome.right]
    if entry.pred_parsed.box is not None and _iou(entry) >= 0:
        return rank, 1.0 - _iou(entry)
    return rank, -math.inf if entry.l2_error is None else entry.l2_error


def count_outcomes(entries: Iterable[SampleResult]) -> dict[str, int]:
    """Outcome → number of samples, only those that occur, in the order of ``OUTCOMES``."""
    found = [outcome_of(entry).name for entry in entries]
    return {name: found.count(name) for name in OUTCOMES if name in found}
