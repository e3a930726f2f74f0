"""Cameras along a path through a room, as a person films it."""

from __future__ import annotations

import numpy as np

from x3spatial.arrays import Float64
from x3spatial.synth.rendering.camera import Camera, aimed
from x3spatial.synth.viewpoints import CLEARANCE
from x3spatial.synth.world.layout import Layout

_WALL = 0.45
"""Metres between the path and the walls, at least."""
_ROUNDS = 2
"""Times that the path goes around the room."""
_SHRINK = np.linspace(1.0, 0.0, 41)
"""Shares of the way from the middle of the room to its walls that are tried, the widest first."""


def walk(layout: Layout, count: int, first: Camera, rng: np.random.Generator) -> list[Camera]:
    """Cameras on a loop through the room, which look at one object after another.

    Args:
        layout: the room.
        count: number of cameras.
        first: a camera with the size and the focal length to use.
        rng: decides where the loop starts, its height, and the order of the objects.

    Returns:
        ``count`` cameras, at most; where furniture leaves no room for one, it is missing.
    """
    room = layout.room
    middle = np.array([room.width / 2, room.depth / 2])
    reach = middle - _WALL
    start, low, high = rng.uniform(0, 2 * np.pi), rng.uniform(1.2, 1.35), rng.uniform(1.5, 1.7)
    centres = np.stack([item.box.mean(axis=0) for item in layout.objects])
    order = rng.permutation(len(centres))
    cameras = []
    for number in range(count):
        along = number / count
        turn = start + 2 * np.pi * _ROUNDS * along
        height = low + (high - low) * (0.5 + 0.5 * np.sin(5 * turn))
        direction = np.array([np.cos(turn), np.sin(turn)]) * reach
        place = _free(layout, [np.array([*(middle + s * direction), height]) for s in _SHRINK])
        if place is not None:
            target = _target(centres[order], along * len(order))
            if np.linalg.norm(target - place) > 0.5:
                size = (first.width, first.height)
                cameras.append(aimed(place, target, (size[0] / 2, size[1] / 2), first.focal, *size))
    return cameras


def _free(layout: Layout, places: list[Float64]) -> Float64 | None:
    """The first place that is not near an object; None if all are."""
    for place in places:
        if not any(
            ((place > item.box[0] - CLEARANCE) & (place < item.box[1] + CLEARANCE)).all()
            for item in layout.objects
        ):
            return place
    return None


def _target(centres: Float64, at: float) -> Float64:
    """A point that moves from object to object and rests at each, for ``at`` in [0, number of objects]."""
    number = int(at) % len(centres)
    share = np.clip(2 * (at % 1) - 1, 0, 1)
    ease = share * share * (3 - 2 * share)
    return np.asarray(centres[number] * (1 - ease) + centres[(number + 1) % len(centres)] * ease)
