"""Possible faults of an adapter, each with the transformation that undoes it.

A model writes a point in some unit; the adapter parses it in the unit of its convention. If the units differ,
or axes or images are confused, the point is displaced in a way that depends only on the image size. Undoing
the actual fault moves every point back to its dot; undoing another one does not.
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
"""A fault explains the answers if the median error after undoing it is at most this part of the image
diagonal over all sizes, and at most twice that for each size. The same bound applies to correct answers."""
_FITTED = 0.5
"""Factor of the bound for fitted faults: two fitted lines remove about half of the noise of a few points."""
EDGE_SHIFT = 0.01
"""Bound on the drift of correct answers: a fitted scale and offset that moves the edge of the image by more
than this part of its side, and moves every point of the size closer to its dot than half the median error, is
a fault of resizing."""
_FAR = 1e9
_LEAST = 3
"""Minimum number of points per size for a median or a fit."""


@dataclass(frozen=True, slots=True)
class Observation:
    """A dot and the point that was parsed from the answer."""

    size: Size
    dot: Point
    point: Point
    pixels: tuple[Size, ...] = ()
    """(W, H) per image, the divisors of the convention; empty if it does not use pixels."""
    first_size: Size | None = None
    decoy: Point | None = None

    @property
    def group(self) -> tuple[Size, Size]:
        """The key of observations that a fault of resizing displaces alike."""
        return self.size, self.first_size or self.size

    def error(self, point: Point) -> float:
        """Distance of ``point`` to the dot in pixels of the image."""
        width, height = self.size
        away = math.hypot((point.x - self.dot.x) * width, (point.y - self.dot.y) * height)
        return min(away, 1e12)  # answers may contain any number, but sums must be finite

    @property
    def diagonal(self) -> float:
        """Diagonal of the image in pixels."""
        return math.hypot(*self.size)


@dataclass(frozen=True, slots=True)
class Fault:
    """A possible fault; an empty set of kinds means no fault."""

    kinds: frozenset[Kind]
    text: str
    undo: Callable[[Observation], Point | None]
    """The point without the fault; None if the fault is not possible for the observation."""


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
        # A convention without pixels uses a fixed scale, which is determined from the answers.
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
    """All named faults, the simplest first."""
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


def error_left(fault: Fault, observations: Sequence[Observation]) -> float | None:
    """The median error after undoing ``fault``, in diagonals: over all sizes, or half of that of the worst
    size if that is larger.

    None: the fault is not possible, or no size has enough points.
    """
    everywhere, worst = [], []
    for _, group in by_size(observations):
        if len(group) < _LEAST:
            continue
        points = [fault.undo(s) for s in group]
        errors = [s.error(p) / s.diagonal for s, p in zip(group, points, strict=True) if p]
        if len(errors) < len(group):
            return None
        everywhere += errors
        worst.append(float(np.median(errors)))
    return max(float(np.median(everywhere)), max(worst) / 2) if worst else None


def by_size(
    observations: Sequence[Observation],
) -> list[tuple[tuple[Size, Size], list[Observation]]]:
    """The observations by size (and size of the first image), sorted by size."""
    ordered = sorted(observations, key=lambda s: s.group)
    return [(key, list(group)) for key, group in groupby(ordered, key=lambda s: s.group)]


def explain(observations: Sequence[Observation]) -> Fault | None:
    """The fault that explains the points, ``RIGHT`` if they are correct, None if no fault explains them."""
    right = error_left(RIGHT, observations)
    if right is None:
        return None
    if right <= TOLERANCE:
        return _drift(observations, only_beyond_noise=True) or RIGHT
    errors = [(error_left(fault, observations), fault) for fault in faults()]
    explaining = [(e, fault) for e, fault in errors if e is not None and e <= TOLERANCE]
    if explaining:
        # The simplest of the faults that are about as good as the best; faults() lists it first.
        best = min(error for error, _ in explaining)
        return next(fault for error, fault in explaining if error <= 1.5 * best + 0.002)
    return _drift(observations, only_beyond_noise=False)


@dataclass(frozen=True, slots=True)
class _Line:
    """``point = scale * dot + offset`` on one axis of one size."""

    scale: float
    offset: float

    @property
    def edge_shift(self) -> float:
        """The larger displacement of the two edges, as a part of the side."""
        return max(abs(self.offset), abs(self.scale + self.offset - 1))


def _drift(observations: Sequence[Observation], *, only_beyond_noise: bool) -> Fault | None:
    """A scale and an offset per size and axis, if they explain errors that no named fault explains."""
    lines: dict[tuple[Size, Size], tuple[_Line, _Line]] = {}
    drifting = []
    for key, group in by_size(observations):
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
        # Two lines fitted to a few noisy points also reduce the median, but not the error of every point.
        left = np.max(after) * 2 if only_beyond_noise else np.median(after) * 3
        if max(x.edge_shift, y.edge_shift) > EDGE_SHIFT and before > left:
            drifting.append(key)
    if not drifting:
        return None

    def undo(s: Observation) -> Point | None:
        return _back(s, *lines[s.group]) if s.group in lines else s.point

    fault = Fault(frozenset({"resize"}), _drift_text(drifting, lines), undo)
    error = error_left(fault, observations)
    explained = error is not None and error <= _FITTED * TOLERANCE
    return fault if explained or only_beyond_noise else None


def _line(dots: Float64, points: Float64) -> _Line | None:
    """The median slope through pairs of points and the median offset; None if the slope is not plausible."""
    i, j = np.triu_indices(len(dots), 1)
    apart = np.abs(dots[i] - dots[j]) > 0.05
    slopes = (points[i] - points[j])[apart] / (dots[i] - dots[j])[apart]
    scale = float(np.median(slopes)) if slopes.size else 0.0
    if not np.isfinite(scale) or abs(scale) < 0.1:
        return None  # constant answers do not depend on the dots
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
