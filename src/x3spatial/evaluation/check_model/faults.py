"""The faults an adapter can have, each as a way back from what it made of an answer.

An answer names a place in some unit; the adapter reads it in the unit that its convention declares. If both
differ, or axes or images are confused, the point moves in a way that depends on the image's size and on
nothing else. Undoing the right fault brings every point back to its dot; undoing a wrong one does not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Literal

import numpy as np

from x3spatial.arrays import Float64
from x3spatial.tasks.geometry import Point
from x3spatial.tasks.question import Size

Kind = Literal["axes", "scale", "image", "resize"]

TOLERANCE = 0.03
"""A fault explains the answers if undoing it leaves a median error of at most this part of the image's
diagonal over all sizes, and of at most twice that at each. The same bound says that answers are right."""
_FITTED = 0.5
"""Part of it for a fault that is fitted, not known: two lines take away half of a few points' noise."""
EDGE_SHIFT = 0.01
"""Right answers must also not drift: a fitted scale and offset that moves the image's edge by more than this
part of the side, and takes every point of the size nearer to its dot than half the median error, is a fault
of resizing."""
_FAR = 1e9
_LEAST = 3
"""Points per size that a median or a fit takes."""


@dataclass(frozen=True, slots=True)
class Observation:
    """A dot and the point that was read for it."""

    size: Size
    dot: Point
    point: Point
    pixels: tuple[Size, ...] = ()
    """(W, H) per image that the convention divided by; empty where it counts no pixels."""
    first_size: Size | None = None
    decoy: Point | None = None

    @property
    def group(self) -> tuple[Size, Size]:
        """What decides how a fault of resizing moves points."""
        return self.size, self.first_size or self.size

    def error(self, point: Point) -> float:
        """Distance of ``point`` to the dot in pixels of the image."""
        width, height = self.size
        away = math.hypot((point.x - self.dot.x) * width, (point.y - self.dot.y) * height)
        return min(away, 1e12)  # an answer may hold any number, and sums must stay finite

    @property
    def diagonal(self) -> float:
        """Of the image, in pixels."""
        return math.hypot(*self.size)


@dataclass(frozen=True, slots=True)
class Fault:
    """What may be wrong; no kinds: nothing is."""

    kinds: frozenset[Kind]
    text: str
    undo: Callable[[Observation], Point | None]
    """Where the point would be without the fault; None where the fault cannot be made."""


RIGHT = Fault(frozenset(), "the points are where the dots are", lambda s: s.point)

Unit = Callable[[Observation], Size | None]
_FIXED: dict[str, Size] = {"0 to 1": (1, 1), "percent": (100, 100), "0 to 1000": (1000, 1000)}
_PIXELS: dict[str, Unit] = {
    "pixels of the image file": lambda s: s.size,
    "pixels of the first image's file": lambda s: s.first_size,
    "pixels of the size that the adapter names for the first image": lambda s: (
        s.pixels[0] if len(s.pixels) > 1 else None
    ),
}
_DECLARED = "pixels of the size that the adapter names"


def _fixed(size: Size, s: Observation) -> Size | None:
    return size


def _fixed_without_pixels(size: Size, s: Observation) -> Size | None:
    return None if s.pixels else size


def _named(s: Observation) -> Size | None:
    return s.pixels[-1] if s.pixels else None


def _units() -> Iterator[tuple[str, Unit]]:
    for name, size in _FIXED.items():
        yield name, partial(_fixed, size)
    yield _DECLARED, _named
    yield from _PIXELS.items()


def _declared() -> Iterator[tuple[str, Unit]]:
    for name, size in _FIXED.items():
        # A convention without pixels reads a fixed scale; which one, the answers must tell.
        yield name, partial(_fixed_without_pixels, size)
    yield _DECLARED, _named


def _in_units(written: Unit, read: Unit, *, swapped: bool) -> Callable[[Observation], Point | None]:
    def undo(s: Observation) -> Point | None:
        unit, divisor = written(s), read(s)
        if unit is None or divisor is None:
            return None
        first, second = s.point.x * divisor[0], s.point.y * divisor[1]
        if swapped:
            first, second = second, first
        return Point(first / unit[0], second / unit[1])

    return undo


def _at_decoy(undo: Callable[[Observation], Point | None]) -> Callable[[Observation], Point | None]:
    def of_first(s: Observation) -> Point | None:
        point = undo(s)
        if point is None or s.decoy is None:
            return None
        return Point(s.dot.x + point.x - s.decoy.x, s.dot.y + point.y - s.decoy.y)

    return of_first


def _square(side: Callable[[Size], int], *, centred: bool) -> Callable[[Observation], Point | None]:
    def undo(s: Observation) -> Point | None:
        width, height = s.size
        square = side(s.size)
        x0, y0 = ((square - width) / 2, (square - height) / 2) if centred else (0.0, 0.0)
        return Point((s.point.x * square - x0) / width, (s.point.y * square - y0) / height)

    return undo


def faults() -> list[Fault]:
    """Every fault that has a name, the simplest first."""
    found = []
    mirrors: dict[str, Callable[[Observation], Point | None]] = {
        "x is counted from the right": lambda s: Point(1 - s.point.x, s.point.y),
        "y is counted from the bottom": lambda s: Point(s.point.x, 1 - s.point.y),
        "x and y are counted from the right and the bottom": lambda s: Point(
            1 - s.point.x, 1 - s.point.y
        ),
    }
    for read_as, read in _declared():
        found.append(
            Fault(frozenset({"axes"}), "x and y are swapped", _in_units(read, read, swapped=True))
        )
        here = _in_units(read, read, swapped=False)
        first = "the points are those of the first image's dot: wrong order of images, or frame"
        found.append(Fault(frozenset({"image"}), first, _at_decoy(here)))
        for name, written in _units():
            if name == read_as:
                continue
            text = f"{name}, read as {read_as}"
            kind: Kind = "resize" if name in _PIXELS and read_as == _DECLARED else "scale"
            plain = _in_units(written, read, swapped=False)
            both = _in_units(written, read, swapped=True)
            found.append(Fault(frozenset({kind}), text, plain))
            found.append(Fault(frozenset({kind, "axes"}), f"x and y are swapped; {text}", both))
            found.append(Fault(frozenset({"image", kind}), f"{first}; {text}", _at_decoy(plain)))
    found += [Fault(frozenset({"axes"}), text, undo) for text, undo in mirrors.items()]
    found += [
        Fault(frozenset({"resize"}), text, undo)
        for text, undo in (
            ("fractions of the image padded to a square", _square(max, centred=True)),
            (
                "fractions of the image padded to a square at the right and the bottom",
                _square(max, centred=False),
            ),
            ("fractions of the square cut from the image's middle", _square(min, centred=True)),
        )
    ]
    return found


def error_left(fault: Fault, sightings: Sequence[Observation]) -> float | None:
    """The median error once ``fault`` is undone, in diagonals: over all, or half of a size's if that is more.

    None: the fault cannot be made, or no size has points enough.
    """
    everywhere, worst = [], []
    for _, group in by_size(sightings):
        if len(group) < _LEAST:
            continue
        points = [fault.undo(s) for s in group]
        errors = [s.error(p) / s.diagonal for s, p in zip(group, points, strict=True) if p]
        if len(errors) < len(group):
            return None
        everywhere += errors
        worst.append(float(np.median(errors)))
    return max(float(np.median(everywhere)), max(worst) / 2) if worst else None


def by_size(sightings: Sequence[Observation]) -> list[tuple[tuple[Size, Size], list[Observation]]]:
    """The sightings of each size (and size of the first image), sizes in order."""
    ordered = sorted(sightings, key=lambda s: s.group)
    return [(key, list(group)) for key, group in groupby(ordered, key=lambda s: s.group)]


def explain(sightings: Sequence[Observation]) -> Fault | None:
    """The fault that explains the points, ``RIGHT`` if they are right, None if nothing does."""
    right = error_left(RIGHT, sightings)
    if right is None:
        return None
    if right <= TOLERANCE:
        return _drift(sightings, only_beyond_noise=True) or RIGHT
    errors = [(error_left(fault, sightings), fault) for fault in faults()]
    explaining = [(e, fault) for e, fault in errors if e is not None and e <= TOLERANCE]
    if explaining:
        # Of those that explain about as well as the best, the simplest: faults() has it first.
        best = min(error for error, _ in explaining)
        return next(fault for error, fault in explaining if error <= 1.5 * best + 0.002)
    return _drift(sightings, only_beyond_noise=False)


@dataclass(frozen=True, slots=True)
class _Line:
    """``point = scale * dot + offset`` on one axis of one size."""

    scale: float
    offset: float

    @property
    def edge_shift(self) -> float:
        """How far it moves the nearer or the farther edge, in sides."""
        return max(abs(self.offset), abs(self.scale + self.offset - 1))


def _drift(sightings: Sequence[Observation], *, only_beyond_noise: bool) -> Fault | None:
    """A scale and an offset per size and axis, where they explain what no named fault does."""
    lines: dict[tuple[Size, Size], tuple[_Line, _Line]] = {}
    drifting = []
    for key, group in by_size(sightings):
        if len(group) <= _LEAST:  # a line through two of three points explains nothing
            continue
        dots = np.array([s.dot for s in group])
        points = np.clip([s.point for s in group], -_FAR, _FAR)
        x, y = _line(dots[:, 0], points[:, 0]), _line(dots[:, 1], points[:, 1])
        if x is None or y is None:
            return None
        lines[key] = x, y
        before = np.median([s.error(s.point) for s in group])
        after = [s.error(_back(s, x, y)) for s in group]
        # Two lines fitted to a handful of noisy points leave less of a median too, but not of every point.
        left = np.max(after) * 2 if only_beyond_noise else np.median(after) * 3
        if max(x.edge_shift, y.edge_shift) > EDGE_SHIFT and before > left:
            drifting.append(key)
    if not drifting:
        return None

    def undo(s: Observation) -> Point | None:
        return _back(s, *lines[s.group]) if s.group in lines else s.point

    fault = Fault(frozenset({"resize"}), _drift_text(drifting, lines), undo)
    error = error_left(fault, sightings)
    explained = error is not None and error <= _FITTED * TOLERANCE
    return fault if explained or only_beyond_noise else None


def _line(dots: Float64, points: Float64) -> _Line | None:
    """The median slope through pairs of points and the median offset; None if it is no image of it."""
    i, j = np.triu_indices(len(dots), 1)
    apart = np.abs(dots[i] - dots[j]) > 0.05
    slopes = (points[i] - points[j])[apart] / (dots[i] - dots[j])[apart]
    scale = float(np.median(slopes)) if slopes.size else 0.0
    if not np.isfinite(scale) or abs(scale) < 0.1:
        return None  # all points alike: whatever is said, it is not about the dots
    return _Line(scale, float(np.median(points - scale * dots)))


def _back(s: Observation, x: _Line, y: _Line) -> Point:
    return Point((s.point.x - x.offset) / x.scale, (s.point.y - y.offset) / y.scale)


def _drift_text(
    drifting: Sequence[tuple[Size, Size]], lines: dict[tuple[Size, Size], tuple[_Line, _Line]]
) -> str:
    parts = []
    for key in drifting:
        (width, height), (x, y) = key[0], lines[key]
        shift = max(abs(x.offset * width), abs(y.offset * height))
        moved = f", shifted by ({x.offset * width:+.0f}, {y.offset * height:+.0f})" * (shift >= 1)
        parts.append(
            f"{width}x{height} as if about {x.scale * width:.0f}x{y.scale * height:.0f}{moved}"
        )
    return f"scaled or shifted by size: {'; '.join(parts)} (wrong size of the resized image?)"
