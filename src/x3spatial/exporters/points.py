"""The point formats that prompts and answers of an export can be rewritten to.

A model family is best fine-tuned in the format of its pre-training, with the prompts of its evaluation; both
are defined by ``conventions``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from x3spatial.arrays import Bool
from x3spatial.conventions.base import Convention
from x3spatial.conventions.molmo_point import MOLMO_POINT
from x3spatial.conventions.registry import CONVENTIONS
from x3spatial.conventions.resize import smart_resize
from x3spatial.tasks.frames import Frame
from x3spatial.tasks.geometry import Point, centre_of, hits
from x3spatial.tasks.ground_truth import Target
from x3spatial.tasks.question import Size

AS_RECORDED = "unit"
_NOT_TEXT = frozenset({AS_RECORDED, MOLMO_POINT.name})
"""Not rewritten to: the recorded form, and points that are tokens which only the model's own code makes."""
PLACEHOLDER = "placeholder"


def point_formats() -> dict[str, Convention]:
    """The conventions that prompts and answers can be rewritten to, by name."""
    return {name: found for name, found in CONVENTIONS.items() if name not in _NOT_TEXT}


def counts_resized(points: str) -> bool:
    """Whether the numbers of the format ``points`` are pixels of the resized image."""
    found = point_formats().get(points)
    return found is not None and found.pixels == "resized"


def names_images(points: str) -> bool:
    """Whether the images of the format ``points`` have names, which stand before them in the message."""
    found = point_formats().get(points)
    return found is not None and bool(found.picture_names(2))


@dataclass(frozen=True, slots=True)
class ResizeLimits:
    """Bounds of the image area of the Qwen2.5-VL processor, in pixels."""

    min_pixels: int = 56 * 56
    max_pixels: int = 16384 * 28 * 28

    def resized(self, size: Size) -> Size:
        """(W, H) of an image of ``size`` after resizing by the Qwen2.5-VL processor."""
        return smart_resize(size, factor=28, min_pixels=self.min_pixels, max_pixels=self.max_pixels)


def counted_sizes(
    convention: Convention, sizes: Sequence[Size], limits: ResizeLimits
) -> tuple[Size, ...]:
    """Convert the sizes on disk to the pixels of ``convention``; empty if it does not use pixels."""
    if convention.pixels == "resized":
        return tuple(map(limits.resized, sizes))
    return tuple(sizes)


def box_of(
    target: Target, mask: Bool, frame: Frame, size: Size, limits: ResizeLimits
) -> tuple[tuple[float, float], bool]:
    """A point in pixels for a trainer that scales and rounds it.

    The target is preferred, then points of its pixel from the centre to the top left.

    Returns:
        ((x, y), safe): ``safe`` is True if the point still hits the mask after rounding to any grid of the
        trainer (pixels on disk, thousandths, pixels of Qwen2.5-VL's resized image).
    """
    height, width = mask.shape
    full_width, full_height = size
    grids = [size, (1000, 1000), limits.resized(size)]

    def hit(x: float, y: float) -> bool:
        read = Point(x / full_width, y / full_height)
        return frame.contains(read) and hits(mask, frame.to_local(read))

    def survives(x: float, y: float) -> bool:
        return all(
            hit(
                round(x / full_width * columns) / columns * full_width,
                round(y / full_height * rows) / rows * full_height,
            )
            for columns, rows in grids
        )

    centre = centre_of(target.pixel, width, height)
    tries = [target.point, centre]
    for share in (0.4, 0.25, 0.1):
        column, row = target.pixel
        tries.append(Point((column + share) / width, (row + share) / height))
    boxes = []
    for point in tries:
        full = frame.to_full(point)
        boxes.append((round(full.x * full_width, 4), round(full.y * full_height, 4)))
    for box in boxes:
        if hit(*box) and survives(*box):
            return box, True
    return next((box for box in boxes if hit(*box)), boxes[1]), False
