"""Decoys: traces of editing at a place without the object, for pairs in which nothing was removed.

A decoy is a hole of the object's shape that is filled elsewhere in the image. Its place decides how much can
be seen of it: on a plain wall a filled hole vanishes. So the place is chosen, from seeded random ones, whose
filling changes the image about as much as the removal of the object does. No place is taken where the hole
would remove something else.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from x3spatial.arrays import Bool, Float32, UInt8
from x3spatial.inpainting import inpaint
from x3spatial.io.images import resize_rgb
from x3spatial.roots.neighbours import Outline

MARGIN = 0.01
"""Distance between a decoy and the object, and width by which its hole exceeds the object's shape, as a share
of the image's width."""
PLACES = 128
"""Places that are compared."""
TRIES = 4 * PLACES
"""Places that are drawn at most; most of the others lie on the object."""
SKETCH = 112
"""Width of the image on which all places are compared first."""
FINALISTS = 8
"""Places that are compared in the image itself then."""
REMOVABLE = 0.5
"""Share of the visible pixels of another object from which a hole removes it."""
LEAST = 0.5
"""Least change of a decoy, as a part of the change by the removal. Fainter ones give a pair away."""
_CONTEXT = 0.07
"""Surroundings from which a hole is filled when places are compared, as a share of the image's width."""


@dataclass(frozen=True, slots=True)
class Decoy:
    """A hole to be filled."""

    hole: Bool
    """``[H, W]``."""
    ratio: float
    """The mean change of a pixel of the hole, divided by that of removing the object."""

    @property
    def is_equal(self) -> bool:
        """Whether the change is at least ``LEAST`` times and at most 1 / ``LEAST`` times the removal's."""
        return LEAST <= self.ratio <= 1 / LEAST


class _Place(NamedTuple):
    """Where the upper left corner of the hole's shape lies."""

    row: int
    column: int


def find_decoy(
    before: UInt8,
    removed: UInt8,
    mask: Bool,
    seed: int,
    *,
    others: Sequence[Bool] = (),
    outlines: Sequence[Outline] = (),
) -> Decoy | None:
    """Find the place of a decoy.

    Args:
        before: the view, ``[H, W, 3]`` RGB.
        removed: the view without the object, of the same size.
        mask: ``[H, W]``, the object; not empty.
        seed: of the drawn places.
        others: ``[H, W]`` masks of other objects; the hole keeps its distance from them as from the object.
        outlines: of other objects; of none does the hole cover ``REMOVABLE`` of its visible pixels.

    Returns:
        A hole of the object's shape, slightly larger; None where it fits nowhere.
    """
    width = mask.shape[1]
    margin = max(1, round(MARGIN * width))
    wide = _dilated(mask, margin)
    rows, columns = np.flatnonzero(wide.any(axis=1)), np.flatnonzero(wide.any(axis=0))
    shape = wide[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    forbidden = _dilated(np.logical_or.reduce([mask, *others]), 2 * margin)
    places = _free_places(shape, forbidden, outlines, seed)
    wanted = float(_difference(before, removed)[wide].mean())
    sketched = min(1.0, SKETCH / width)

    def unlikeness(place: _Place, scale: float) -> float:
        # A level is added to both: below that, the encoding of the image changes more.
        return abs(math.log((_change(before, shape, place, scale) + 1) / (wanted + 1)))

    best = sorted(places, key=lambda place: unlikeness(place, sketched))[:FINALISTS]
    if not best:
        return None
    chosen = min(best, key=lambda place: unlikeness(place, 1.0)) if sketched < 1 else best[0]
    hole = np.zeros_like(mask)
    hole[_box(chosen, shape)] = shape
    return Decoy(hole, (_change(before, shape, chosen, 1.0) + 1) / (wanted + 1))


def _free_places(
    shape: Bool, forbidden: Bool, outlines: Sequence[Outline], seed: int
) -> Iterator[_Place]:
    """At most ``PLACES`` of the drawn places at which the hole may lie."""
    height, width = forbidden.shape
    rng = np.random.default_rng(seed)
    rows = rng.integers(height - shape.shape[0] + 1, size=TRIES)
    columns = rng.integers(width - shape.shape[1] + 1, size=TRIES)
    boxes = [_Extent.of(outline, width, height) for outline in outlines]
    found = 0
    for place in dict.fromkeys(map(_Place, rows.tolist(), columns.tolist())):
        if (forbidden[_box(place, shape)] & shape).any():
            continue
        if any(box.covered(place, shape) >= REMOVABLE * box.visible for box in boxes):
            continue
        yield place
        found += 1
        if found == PLACES:
            return


class _Extent(NamedTuple):
    """An outline in pixels; pixels that it touches belong to it."""

    left: int
    top: int
    right: int
    bottom: int
    visible: float

    @classmethod
    def of(cls, outline: Outline, width: int, height: int) -> _Extent:
        return cls(
            math.floor(outline.left * width),
            math.floor(outline.top * height),
            math.ceil(outline.right * width),
            math.ceil(outline.bottom * height),
            outline.visible * width * height,
        )

    def covered(self, place: _Place, shape: Bool) -> int:
        """The most pixels of the object that a hole can cover."""
        row, column = place
        inside = shape[
            max(0, self.top - row) : max(0, self.bottom - row),
            max(0, self.left - column) : max(0, self.right - column),
        ]
        return int(np.count_nonzero(inside))


def _change(image: UInt8, shape: Bool, place: _Place, scale: float) -> float:
    """The mean change of a hole's pixels by filling it, on an image reduced by ``scale``."""
    context = math.ceil(_CONTEXT * image.shape[1])
    top, left = max(0, place.row - context), max(0, place.column - context)
    area = _box(place, shape)
    crop = image[top : area[0].stop + context, left : area[1].stop + context]
    hole = np.zeros(crop.shape[:2], bool)
    hole[_box(_Place(place.row - top, place.column - left), shape)] = shape
    if scale < 1:
        size = (max(2, round(scale * crop.shape[1])), max(2, round(scale * crop.shape[0])))
        crop = resize_rgb(crop, *size)
        share = cv2.resize(hole.astype(np.float32), size, interpolation=cv2.INTER_AREA)
        hole = share >= min(0.5, float(share.max()))
    if hole.all():
        return 0.0
    return float(_difference(crop, inpaint(crop, hole))[hole].mean())


def _box(place: _Place, shape: Bool) -> tuple[slice, slice]:
    height, width = shape.shape
    return slice(place.row, place.row + height), slice(place.column, place.column + width)


def _difference(one: UInt8, other: UInt8) -> Float32:
    """``[H, W]`` root mean square difference of the colours."""
    difference = one.astype(np.float32) - other
    return np.asarray(np.sqrt((difference**2).mean(axis=2)), np.float32)


def _dilated(mask: Bool, margin: int) -> Bool:
    """The mask and all pixels at most ``margin`` away, diagonally too."""
    kernel = np.ones((2 * margin + 1, 2 * margin + 1), np.uint8)
    return np.asarray(cv2.dilate(mask.astype(np.uint8), kernel) > 0)
