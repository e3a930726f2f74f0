"""One sample's entry in a results file.

Points are (x, y), normalised: (0, 0) is the upper left corner and (1, 1) the lower right one. They stand in
the frame in which the answer is written, for t1_concat the whole side-by-side image.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from x3spatial.formats.typed_json import LEFT_OUT
from x3spatial.tasks.question import Size

Status = Literal["answered", "unparsed", "error"]
Coordinate = tuple[float, float]


@dataclass(frozen=True, slots=True)
class ParsedAnswer:
    """What was read from an answer."""

    is_not_visible: bool | None
    """Whether it says NOT_VISIBLE; null where there is no answer."""
    coord: Coordinate | None
    """The point; null unless the answer is one."""
    value: Any = field(default=None, metadata=LEFT_OUT)
    """An answer of another kind; only for tasks that ask for one."""


@dataclass(frozen=True, slots=True)
class GroundTruth:
    """The right answer."""

    text: str
    is_not_visible: bool
    coord: Coordinate | None
    """Null where the object is not visible."""
    value: Any = field(default=None, metadata=LEFT_OUT)
    """A right answer of another kind; only for tasks that ask for one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleResult:
    """One sample: its answer, what was read from it, and its scores."""

    id: str
    pred_text: str | None
    """The answer as given; null where there is none."""
    pred_parsed: ParsedAnswer
    gt: GroundTruth
    l2_error: float | None
    """Distance in the query image, normalised: visible samples answered by a point."""
    success_l2_010: bool | None
    """Whether l2_error is at most 0.10; null where the object is not visible or there is no answer."""
    hit_mask: bool | float | None
    """Whether the point lies in the mask (rule roborefer: the mean over its points); null without a
    visible object or a mask."""
    status: Status
    scene: str | None
    uid: str | None
    hit_mask_tight: bool | float | None
    """As hit_mask, on the tight mask."""
    l2_error_full: float | None
    """Distance in the side-by-side image; t1_concat only."""
    contradictory: bool
    """Whether the answer holds both a point and NOT_VISIBLE."""
    out_of_range: bool
    """Whether the point lies outside of the image."""
    missing_mask: bool
    """Whether the object is visible but its mask is missing or unreadable."""
    images_seen: str | None = None
    """State of the image files that the answer was given from, by size and time of change."""
    correct: bool | None = field(default=None, metadata=LEFT_OUT)
    """Whether an answer of another kind is right; only for tasks that ask for one."""
    pixel_sizes: tuple[Size, ...] = field(default=(), metadata=LEFT_OUT)
    """(width, height) of each image in the pixels that the model's convention counts; only where it does."""
    details: dict[str, Any] = field(default_factory=dict, metadata=LEFT_OUT)
    """What else the model says of this answer, such as the sizes of the images that were sent."""
    error: str | None = field(default=None, metadata=LEFT_OUT)
    """Why there is no answer; only where there is none."""
