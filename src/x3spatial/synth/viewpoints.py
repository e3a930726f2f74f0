"""Placement of cameras in a room, and the choice of views of each object.

Many candidate cameras are drawn. An object's views are chosen among them, preferring cameras that
other objects already use, so that few originals have to be rendered.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from x3spatial.arrays import Bool, Float64
from x3spatial.roots.scene_file import Sight
from x3spatial.synth import visibility
from x3spatial.synth.rendering.camera import Camera, aimed
from x3spatial.synth.rendering.geometry import Geometry
from x3spatial.synth.world.layout import Layout
from x3spatial.tasks.strata import AbsentBy

Rng = np.random.Generator

CANDIDATES = 200  # candidate cameras per room
HIDING = 14  # most additional cameras per possible target that do not see it because of occlusion
CLEARANCE = 0.3  # metres between a camera and objects
# Angle in radians at the object between any two of its views.
MIN_ANGLE, MAX_ANGLE = np.radians(20.0), np.radians(100.0)
_ATTEMPTS = 40  # proposals checked exactly, per object
_PROPOSALS = 24  # proposals compared in every attempt


@dataclass(frozen=True)
class SizeLimits:
    """Limits of a visible target's mask, in pixels."""

    min_pixels: int
    min_pixels_first: int  # in view 01
    max_pixels: int


@dataclass(frozen=True)
class View:
    """One view of one object. ``camera`` is the number of a candidate."""

    camera: int
    mask: Bool  # [H, W] visible pixels of the object
    in_frame_fraction: float  # share of the object's silhouette that lies in the frame
    visible_fraction: float  # share of the object's silhouette that is visible

    @property
    def absent_by(self) -> AbsentBy | None:
        """Why the object is not visible: ``framing`` (outside the frame), ``occlusion``, ``both`` or None."""
        if self.mask.any():
            return None
        if self.in_frame_fraction == 0:
            return "framing"
        return "occlusion" if self.in_frame_fraction > 0.5 else "both"

    def facts(self) -> dict[str, Any]:
        """What ``scene.json`` says of a view."""
        return Sight(
            int(self.mask.sum()), self.visible_fraction, self.in_frame_fraction, self.absent_by
        ).to_json()


def view_of(geometry: Geometry, uid: int, number: int, camera: Camera, mask: Bool) -> View:
    """The view of an object in camera ``number``, where its visible pixels are ``mask`` [H, W]."""
    inside, total = visibility.silhouette(geometry, uid, camera)
    framed = inside / total if total else 0.0
    # Both are counts on different grids: a large silhouette is sampled every few pixels.
    visible = min(1.0, int(mask.sum()) / total) if total else 0.0
    return View(number, mask, framed, visible)


@dataclass(frozen=True)
class Choice:
    """The chosen views of one object, view 01 first."""

    uid: int
    views: tuple[View, ...]


def size_limits(width: int, height: int) -> SizeLimits:
    """Return the limits for an image size in pixels: at least 64 px at 640 x 480, scaled by area."""
    pixels = width * height
    least = max(2, int(np.ceil(64 * pixels / (640 * 480))))
    return SizeLimits(least, max(2 * least, round(0.0012 * pixels)), round(0.13 * pixels))


def _positions(layout: Layout, count: int, rng: Rng) -> Float64:
    """Draw at most ``count`` free camera positions [n, 3], at sitting to standing height."""
    room = layout.room
    positions = rng.uniform(
        [0.3, 0.3, 0.85], [room.width - 0.3, room.depth - 0.3, 1.75], (count, 3)
    )
    free = np.ones(count, np.bool_)
    for item in layout.objects:
        low, high = item.box[0] - CLEARANCE, item.box[1] + CLEARANCE
        free &= ~((positions > low) & (positions < high)).all(axis=1)
    return np.asarray(positions[free])


def candidates(
    layout: Layout, geometry: Geometry, width: int, height: int, rng: Rng
) -> list[Camera]:
    """Draw candidate cameras.

    Most have a possible target somewhere in the frame, some of them occluded by furniture; a sixth of
    the cameras point anywhere. ``width`` and ``height`` are the image size in pixels.
    """
    room, cameras = layout.room, []
    focal = float(rng.uniform(0.7, 0.82)) * width

    def add(position: Float64, target: Float64) -> None:
        image_point = (rng.uniform(0.06, 0.94) * width, rng.uniform(0.08, 0.92) * height)
        if np.linalg.norm(target - position) > 0.8:
            cameras.append(aimed(position, target, image_point, focal, width, height))

    centres = np.stack([layout.objects[uid - 1].box.mean(axis=0) for uid in layout.targets])
    positions = _positions(layout, 3 * CANDIDATES, rng)
    for k, position in enumerate(positions[:CANDIDATES]):
        if k % 6 == 0:
            target = rng.uniform([0.4, 0.4, 0.1], [room.width - 0.4, room.depth - 0.4, 1.3])
        else:  # one target, or the midpoint of two: such a camera can show both
            some = rng.choice(len(centres), size=1 if k % 2 else 2)
            target = centres[some].mean(axis=0)
        add(position, target)
    for uid, centre in zip(layout.targets, centres, strict=True):
        for position in positions[visibility.occluded_from(geometry, uid, positions, rng)][:HIDING]:
            add(position, centre)
    worth = visibility.well_composed(geometry, cameras)
    return [camera for camera, keep in zip(cameras, worth, strict=True) if keep]


@dataclass
class _Facts:
    """Numbers of the candidates by what they show of one object, and which are compatible."""

    good: list[int]  # fit for view 01
    visible: list[int]
    hidden: list[int]  # in the frame, occluded
    outside: list[int]  # outside the frame
    apart: Bool  # [cameras, cameras] whether the angle between two is in [MIN_ANGLE, MAX_ANGLE]

    def forget(self, number: int, as_first: bool) -> None:
        """Stop proposing the camera, either as view 01 or as any other view."""
        for numbers in [self.good] if as_first else [self.visible, self.hidden, self.outside]:
            if number in numbers:
                numbers.remove(number)


def _facts(
    geometry: Geometry,
    centre: Float64,
    uid: int,
    cameras: list[Camera],
    bound: SizeLimits,
    rng: Rng,
) -> _Facts:
    known = visibility.estimate(geometry, uid, cameras, rng)
    pixels = cameras[0].width * cameras[0].height
    cover = known.coverage * known.visible * pixels
    visible = (
        (known.visible > 0.15) & (cover > 1.5 * bound.min_pixels) & (cover < 1.3 * bound.max_pixels)
    )
    good = (
        visible
        & (known.visible > 0.75)
        & (known.in_frame > 0.98)
        & (cover > bound.min_pixels_first)
    )
    none = known.visible == 0
    direction = np.stack([camera.position for camera in cameras]) - centre
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    angle = np.arccos(np.clip(direction @ direction.T, -1, 1))
    return _Facts(
        [int(i) for i in np.flatnonzero(good)],
        [int(i) for i in np.flatnonzero(visible)],
        [int(i) for i in np.flatnonzero(none & (known.in_frame > 0.9))],
        [int(i) for i in np.flatnonzero(none & (known.in_frame == 0))],
        (angle >= MIN_ANGLE) & (angle <= MAX_ANGLE),
    )


class Chooser:
    """Chooses the views of one object after another and tracks the cameras in use.

    A view that shows its object must also pass ``accept(uid, camera number)``.
    """

    def __init__(
        self, geometry: Geometry, layout: Layout, cameras: list[Camera], views: int, side: int,
        rng: Rng, accept: Callable[[int, int], bool] = lambda uid, camera: True,
    ) -> None:  # fmt: skip
        self.geometry, self.layout, self.cameras = geometry, layout, cameras
        self.views, self.side, self.rng = views, side, rng
        self.used: set[int] = set()
        self.bound = size_limits(cameras[0].width, cameras[0].height)
        self.accept = accept
        self._accepted: dict[tuple[int, int], bool] = {}
        self._known: dict[int, tuple[_Facts, dict[int, View]]] = {}

    def _order(self, numbers: list[int]) -> list[int]:
        """Return the numbers shuffled, cameras in use first."""
        shuffled = [int(i) for i in self.rng.permutation(numbers)] if numbers else []
        return sorted(shuffled, key=lambda i: i not in self.used)

    def _extend(self, chosen: list[int], pool: list[int], count: int, facts: _Facts) -> bool:
        """Add ``count`` cameras of ``pool`` compatible with all chosen ones; return whether it worked."""
        for i in self._order(pool):
            if count == 0:
                break
            if i not in chosen and all(facts.apart[i, j] for j in chosen):
                chosen.append(i)
                count -= 1
        return count == 0

    def _propose(self, first: int, facts: _Facts) -> tuple[list[int], int] | None:
        """Propose views from the estimates: (cameras, number of them that show the object), or None."""
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
        return view_of(
            self.geometry, uid, number, camera, visibility.mask(self.geometry, uid, camera)
        )

    def _is_valid(self, uid: int, view: View, first: bool, shown: bool) -> bool:
        """Check exactly whether a proposed view shows, or does not show, the object as estimated."""
        pixels = int(view.mask.sum())
        if not shown:
            return pixels == 0 and not visibility.hit_by_any_sample(
                self.geometry, uid, self.cameras[view.camera], self.side
            )
        if first and (
            view.visible_fraction < 0.7
            or view.in_frame_fraction < 1
            or pixels < self.bound.min_pixels_first
        ):
            return False
        if not self.bound.min_pixels <= pixels <= self.bound.max_pixels:
            return False
        key = (uid, view.camera)
        if key not in self._accepted:
            self._accepted[key] = self.accept(*key)
        return self._accepted[key]

    def _best_proposal(self, facts: _Facts) -> tuple[list[int], int] | None:
        """Return, of several proposals, the one that adds the fewest cameras.

        A proposal with an occluded view may add two cameras more than others.
        """
        good = self._order(facts.good)
        found = [self._propose(first, facts) for first in (good * _PROPOSALS)[:_PROPOSALS]]
        return min(
            (proposal for proposal in found if proposal is not None),
            key=lambda proposal: (
                len(set(proposal[0]) - self.used)
                - 2 * bool(set(proposal[0][proposal[1] :]) & set(facts.hidden))
            ),
            default=None,
        )

    def choose(self, uid: int) -> Choice | None:
        """Choose the object's views; None if no combination of candidates is valid."""
        if uid not in self._known:
            centre = self.layout.objects[uid - 1].box.mean(axis=0)
            facts = _facts(self.geometry, centre, uid, self.cameras, self.bound, self.rng)
            self._known[uid] = (facts, {})
        facts, views = self._known[uid]
        for _ in range(_ATTEMPTS):
            proposal = self._best_proposal(facts)
            if proposal is None:
                return None
            chosen, shown = proposal
            for k, number in enumerate(chosen):
                if number not in views:
                    views[number] = self._view(uid, number)
                if not self._is_valid(uid, views[number], k == 0, k < shown):
                    facts.forget(number, as_first=k == 0)
                    break
            else:
                rest = [int(i) for i in self.rng.permutation(chosen[1:])]
                self.used.update(chosen)
                return Choice(uid, tuple(views[i] for i in [chosen[0], *rest]))
        return None

    def save_cameras(self, choices: list[Choice]) -> list[Choice]:
        """Choose each object's views again, given the others', and keep changes that save cameras."""
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
        """Return whether ``new`` has an occluded view if ``old`` has one."""
        hides = [
            any(view.absent_by == "occlusion" for view in choice.views) for choice in (new, old)
        ]
        return hides[0] or not hides[1]
