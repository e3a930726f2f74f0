"""Which cameras stand in a room, and which of them show which object.

Many candidates are drawn; an object's views are chosen among them, cameras that other objects
use already first, so that few originals have to be rendered.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from x3spatial.arrays import Bool, Float64
from x3spatial.synth import visibility
from x3spatial.synth.rendering.camera import Camera, aimed
from x3spatial.synth.rendering.geometry import Geometry
from x3spatial.synth.world.layout import Layout

Rng = np.random.Generator

CANDIDATES = 200  # cameras
HIDING = 14  # cameras per possible target from which it is hidden
CLEARANCE = 0.3  # metres between a camera and things
NEAREST, FARTHEST = np.radians(20.0), np.radians(100.0)  # between the views of one object
_ATTEMPTS = 40  # per object
_SKETCHES = 24  # compared in every attempt


@dataclass(frozen=True)
class Limits:
    """What counts as visible, in pixels."""

    least: int  # a visible target covers at least this
    clear: int  # and in view 01 at least this
    most: int


@dataclass(frozen=True)
class View:
    """One view of one object. ``camera`` is the candidate's number."""

    camera: int
    mask: Bool  # [H, W] tight
    framed: float  # share of its silhouette that is in the frame
    seen: float  # share of its silhouette that is seen

    @property
    def why_absent(self) -> str | None:
        """framing: outside the frame; occlusion: hidden; both: partly the one, partly the other."""
        if self.mask.any():
            return None
        if self.framed == 0:
            return "framing"
        return "occlusion" if self.framed > 0.5 else "both"


@dataclass(frozen=True)
class Choice:
    """An object's views, view 01 first."""

    uid: int
    views: tuple[View, ...]


def limits(width: int, height: int) -> Limits:
    """64 px at 640 x 480, scaled with the number of pixels."""
    pixels = width * height
    least = max(2, int(np.ceil(64 * pixels / (640 * 480))))
    return Limits(least, max(2 * least, round(0.0012 * pixels)), round(0.13 * pixels))


def _eyes(layout: Layout, count: int, rng: Rng) -> Float64:
    """``[<= count, 3]`` places where a camera can stand, at sitting to standing height."""
    room = layout.room
    eyes = rng.uniform([0.3, 0.3, 0.85], [room.width - 0.3, room.depth - 0.3, 1.75], (count, 3))
    free = np.ones(count, np.bool_)
    for thing in layout.things:
        low, high = thing.box[0] - CLEARANCE, thing.box[1] + CLEARANCE
        free &= ~((eyes > low) & (eyes < high)).all(axis=1)
    return np.asarray(eyes[free])


def candidates(
    layout: Layout, geometry: Geometry, width: int, height: int, rng: Rng
) -> list[Camera]:
    """Cameras with a possible target somewhere in the frame, among them some from which furniture
    hides it, and some that look anywhere."""
    room, cameras = layout.room, []
    focal = float(rng.uniform(0.7, 0.82)) * width

    def add(eye: Float64, target: Float64) -> None:
        spot = (rng.uniform(0.06, 0.94) * width, rng.uniform(0.08, 0.92) * height)
        if np.linalg.norm(target - eye) > 0.8:
            cameras.append(aimed(eye, target, spot, focal, width, height))

    centres = np.stack([layout.things[uid - 1].box.mean(axis=0) for uid in layout.targets])
    eyes = _eyes(layout, 3 * CANDIDATES, rng)
    for k, eye in enumerate(eyes[:CANDIDATES]):
        if k % 6 == 0:
            target = rng.uniform([0.4, 0.4, 0.1], [room.width - 0.4, room.depth - 0.4, 1.3])
        else:  # one target, or the middle of two: such a camera can serve both
            some = rng.choice(len(centres), size=1 if k % 2 else 2)
            target = centres[some].mean(axis=0)
        add(eye, target)
    for uid, centre in zip(layout.targets, centres, strict=True):
        for eye in eyes[visibility.hidden_from(geometry, uid, eyes, rng)][:HIDING]:
            add(eye, centre)
    worth = visibility.worth_seeing(geometry, cameras)
    return [camera for camera, keep in zip(cameras, worth, strict=True) if keep]


@dataclass
class _Facts:
    """All that choosing an object's views needs, per candidate."""

    good: list[int]
    visible: list[int]
    hidden: list[int]
    outside: list[int]
    apart: Bool  # [cameras, cameras] whether two are 20 to 100 degrees apart, seen from the object

    def forget(self, number: int, as_first: bool) -> None:
        """Do not propose the camera again: as view 01, or in any other part."""
        for numbers in [self.good] if as_first else [self.visible, self.hidden, self.outside]:
            if number in numbers:
                numbers.remove(number)


def _facts(
    geometry: Geometry, centre: Float64, uid: int, cameras: list[Camera], bound: Limits, rng: Rng
) -> _Facts:
    known = visibility.estimate(geometry, uid, cameras, rng)
    pixels = cameras[0].width * cameras[0].height
    cover = known.area * known.seen * pixels
    visible = (known.seen > 0.15) & (cover > 1.5 * bound.least) & (cover < 1.3 * bound.most)
    good = visible & (known.seen > 0.75) & (known.framed > 0.98) & (cover > bound.clear)
    none = known.seen == 0
    way = np.stack([camera.eye for camera in cameras]) - centre
    way /= np.linalg.norm(way, axis=1, keepdims=True)
    angle = np.arccos(np.clip(way @ way.T, -1, 1))
    return _Facts(
        [int(i) for i in np.flatnonzero(good)],
        [int(i) for i in np.flatnonzero(visible)],
        [int(i) for i in np.flatnonzero(none & (known.framed > 0.9))],
        [int(i) for i in np.flatnonzero(none & (known.framed == 0))],
        (angle >= NEAREST) & (angle <= FARTHEST),
    )


class Chooser:
    """Chooses views object by object and remembers which cameras are in use.

    ``accept(uid, camera)`` has the last word on a view that shows its object.
    """

    def __init__(
        self, geometry: Geometry, layout: Layout, cameras: list[Camera], views: int, side: int,
        rng: Rng, accept: Callable[[int, int], bool] = lambda uid, camera: True,
    ) -> None:  # fmt: skip
        self.geometry, self.layout, self.cameras = geometry, layout, cameras
        self.views, self.side, self.rng = views, side, rng
        self.used: set[int] = set()
        self.bound = limits(cameras[0].width, cameras[0].height)
        self.accept = accept
        self._accepted: dict[tuple[int, int], bool] = {}
        self._known: dict[int, tuple[_Facts, dict[int, View]]] = {}

    def _order(self, numbers: list[int]) -> list[int]:
        """Shuffled, cameras in use first."""
        mixed = [int(i) for i in self.rng.permutation(numbers)] if numbers else []
        return sorted(mixed, key=lambda i: i not in self.used)

    def _extend(self, chosen: list[int], pool: list[int], count: int, facts: _Facts) -> bool:
        """Add ``count`` cameras of ``pool`` that are apart from all chosen."""
        for i in self._order(pool):
            if count == 0:
                break
            if i not in chosen and all(facts.apart[i, j] for j in chosen):
                chosen.append(i)
                count -= 1
        return count == 0

    def _sketch(self, first: int, facts: _Facts) -> tuple[list[int], int] | None:
        """(cameras, how many of them show the object) from the estimates, or None."""
        absent = min(int(self.rng.integers(1, 3)), max(0, self.views - 2))
        chosen = [first]
        if not self._extend(chosen, facts.visible, self.views - 1 - absent, facts):
            return None
        shown = len(chosen)
        hidden = facts.hidden if self.rng.random() < 0.7 else []
        if absent and hidden and self._extend(chosen, hidden, 1, facts):
            absent -= 1
        if not self._extend(chosen, facts.outside, absent, facts):
            return None
        return chosen, shown

    def _view(self, uid: int, number: int) -> View:
        camera = self.cameras[number]
        mask = visibility.mask(self.geometry, uid, camera)
        inside, total = visibility.silhouette(self.geometry, uid, camera)
        framed = inside / total if total else 0.0
        return View(number, mask, framed, int(mask.sum()) / total if total else 0.0)

    def _holds(self, uid: int, view: View, first: bool, shown: bool) -> bool:
        """Whether a view keeps its promise, exactly."""
        pixels = int(view.mask.sum())
        if not shown:
            return pixels == 0 and not visibility.glimpsed(
                self.geometry, uid, self.cameras[view.camera], self.side
            )
        if first and (view.seen < 0.7 or view.framed < 1 or pixels < self.bound.clear):
            return False
        if not self.bound.least <= pixels <= self.bound.most:
            return False
        key = (uid, view.camera)
        if key not in self._accepted:
            self._accepted[key] = self.accept(*key)
        return self._accepted[key]

    def _best_sketch(self, facts: _Facts) -> tuple[list[int], int] | None:
        """Of a few sketches the one that needs the fewest cameras not in use.

        One that hides the object behind something may need two cameras more than others.
        """
        good = self._order(facts.good)
        found = [self._sketch(first, facts) for first in (good * _SKETCHES)[:_SKETCHES]]
        return min(
            (sketch for sketch in found if sketch is not None),
            key=lambda sketch: (
                len(set(sketch[0]) - self.used)
                - 2 * bool(set(sketch[0][sketch[1] :]) & set(facts.hidden))
            ),
            default=None,
        )

    def choose(self, uid: int) -> Choice | None:
        """The object's views, or None if the candidates have none that fit."""
        if uid not in self._known:
            centre = self.layout.things[uid - 1].box.mean(axis=0)
            facts = _facts(self.geometry, centre, uid, self.cameras, self.bound, self.rng)
            self._known[uid] = (facts, {})
        facts, views = self._known[uid]
        for _ in range(_ATTEMPTS):
            sketch = self._best_sketch(facts)
            if sketch is None:
                return None
            chosen, shown = sketch
            for k, number in enumerate(chosen):
                if number not in views:
                    views[number] = self._view(uid, number)
                if not self._holds(uid, views[number], k == 0, k < shown):
                    facts.forget(number, as_first=k == 0)
                    break
            else:
                rest = [int(i) for i in self.rng.permutation(chosen[1:])]
                self.used.update(chosen)
                return Choice(uid, tuple(views[i] for i in [chosen[0], *rest]))
        return None

    def save_cameras(self, choices: list[Choice]) -> list[Choice]:
        """Choose again, object by object, knowing what the others use, where that saves cameras."""
        best = list(choices)
        for k in [*range(len(best))] * 2:
            others = [choice for i, choice in enumerate(best) if i != k]
            rest = {view.camera for choice in others for view in choice.views}
            self.used = set(rest)
            again = self.choose(best[k].uid)
            old, new = (
                {view.camera for view in choice.views} if choice is not None else set()
                for choice in (best[k], again)
            )  # fmt: skip
            if (
                again is not None
                and len(new - rest) < len(old - rest)
                and self._as_hidden(again, best[k])
            ):
                best[k] = again
        return best

    @staticmethod
    def _as_hidden(new: Choice, old: Choice) -> bool:
        """Whether ``new`` still hides the object behind something if ``old`` did."""
        hides = [
            any(view.why_absent == "occlusion" for view in choice.views) for choice in (new, old)
        ]
        return hides[0] or not hides[1]
