"""One sample's entry in a results file.

Points are (x, y), normalised: (0, 0) is the upper left corner and (1, 1) the lower right one. They are in the
frame of the answer, for t1_concat the whole side-by-side image.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from x3spatial.formats.typed_json import LEFT_OUT
from x3spatial.tasks.question import Size

Status = Literal["answered", "unparsed", "error"]
Coordinate = tuple[float, float]
Corners = tuple[float, float, float, float]
"""A box: x1, y1, x2, y2, as it was written (the corners may be swapped)."""


@dataclass(frozen=True, slots=True)
class ParsedAnswer:
    """A parsed answer."""

    is_not_visible: bool | None
    """Whether the answer is NOT_VISIBLE; null without an answer."""
    coord: Coordinate | None
    """The point; null if the answer is not a point."""
    value: Any = field(default=None, metadata=LEFT_OUT)
    """The value of another answer type; only for tasks that use one."""
    box: Corners | None = field(default=None, metadata=LEFT_OUT)
    """The box; only in conventions whose families answer with boxes."""


@dataclass(frozen=True, slots=True)
class BoxScore:
    """The score of a sample that was asked for a box, in the query image."""

    iou: float | None
    """Intersection over union with the tight box of the mask, 0 if the answer is not a box; null without a
    visible object or a mask."""
    centre_in_mask: bool | None
    """Whether the centre of the box lies in the mask; false and null as for ``iou``."""
    truth: Corners | None = None
    """The tight box of the mask, in the frame of the answer."""
    swapped: bool = False
    """Whether the first corner lies right of or below the second."""
    degenerate: bool = False
    """Whether the box has no area."""


@dataclass(frozen=True, slots=True)
class GroundTruth:
    """The ground truth."""

    text: str
    is_not_visible: bool
    coord: Coordinate | None
    """The point; null if the object is not visible."""
    value: Any = field(default=None, metadata=LEFT_OUT)
    """The ground truth of another answer type; only for tasks that use one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleResult:
    """One sample: its answer, the parsed answer and the scores."""

    id: str
    pred_text: str | None
    """The text of the answer; null without one."""
    pred_parsed: ParsedAnswer
    gt: GroundTruth
    l2_error: float | None
    """Normalised distance in the query image, for visible samples answered with a point."""
    success_l2_010: bool | None
    """Whether l2_error is at most 0.10; null if the object is not visible or there is no answer."""
    hit_mask: bool | float | None
    """Whether the point lies in the mask (rule roborefer: the mean over the points); null without a visible
    object or a mask."""
    status: Status
    scene: str | None
    uid: str | None
    hit_mask_tight: bool | float | None
    """The same for the tight mask."""
    l2_error_full: float | None
    """Normalised distance in the side-by-side image; t1_concat only."""
    contradictory: bool
    """Whether the answer contains both a point (or box) and NOT_VISIBLE."""
    out_of_range: bool
    """Whether the point, or a corner of the box, lies outside the image."""
    missing_mask: bool
    """Whether the object is visible but its mask is missing or unreadable."""
    roborefer_dropped: bool | None = field(default=None, metadata=LEFT_OUT)
    """Whether RoboRefer's own code gives no score; only with rule roborefer."""
    images_seen: str | None = None
    """State of the image files at the time of the answer, by size and modification time."""
    at_removed: bool | None = field(default=None, metadata=LEFT_OUT)
    """Whether the point lies where the object was before it was removed; only for tasks that remove it."""
    box: BoxScore | None = field(default=None, metadata=LEFT_OUT)
    """The score of the box; only in conventions whose families answer with boxes."""
    correct: bool | None = field(default=None, metadata=LEFT_OUT)
    """Whether an answer of another type is correct; only for tasks that use one."""
    pixel_sizes: tuple[Size, ...] = field(default=(), metadata=LEFT_OUT)
    """(width, height) of each image in the pixels of the model's convention; only if it uses pixels."""
    details: dict[str, Any] = field(default_factory=dict, metadata=LEFT_OUT)
    """Further information from the adapter, such as the sizes of the images that were sent."""
    place: str | None = field(default=None, metadata=LEFT_OUT)
    """Where the scene was recorded, if its ``scene.json`` says so."""
    error: str | None = field(default=None, metadata=LEFT_OUT)
    """The reason if there is no answer."""
