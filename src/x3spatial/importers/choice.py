"""Choice of objects and of the frames in which each is shown, and not shown.

View 01 sees the object best. The others that show it are spread in viewing direction; at least one frame that
does not show it joins them. The result depends on the scene and the options only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

import numpy as np

from x3spatial.arrays import Float32, Float64
from x3spatial.importers.options import ChoiceOptions
from x3spatial.importers.scene import Scene, SceneObject
from x3spatial.importers.survey import Surveyed
from x3spatial.roots.scene_file import Sight
from x3spatial.tasks.ground_truth import sample_seed

_FIRST_CANDIDATES = 6
"""Frames that are tried as view 01, the best first."""
_WHOLE = 0.98
"""Share of the object in the frame from which it counts as whole."""
_LEAST_FRAMED = 0.7
"""The same for view 01 of an object that is whole in no frame."""
_HIDDEN_FIRST = 0.7
"""Share of objects for which a frame that hides the object is preferred to one that misses it."""
Pair = tuple[str, str]
"""(uid, frame)."""


@dataclass(frozen=True)
class Choice:
    """An object and the names of its frames in order of rank; ``absent`` are those that do not show it."""

    item: SceneObject
    label: str
    """The label that is written, numbered where others have the same."""
    frames: tuple[str, ...]
    absent: frozenset[str]
    score: float


@dataclass(frozen=True)
class Chosen:
    """The choices of a scene in the order of its objects, and what was left out, by reason."""

    choices: tuple[Choice, ...]
    left_out: Mapping[str, int]


def candidates(scene: Scene, options: ChoiceOptions) -> tuple[list[SceneObject], Counter[str]]:
    """The objects that may be used, and the number of others by reason."""
    excluded = {label.casefold() for label in options.exclude}
    left_out: Counter[str] = Counter()
    kept = []
    labels = Counter(item.label.casefold() for item in scene.objects)
    for item in scene.objects:
        label = item.label.casefold().strip()
        if label in excluded or (item.kind and item.kind.casefold() in excluded):
            left_out["object: structure, or not an object (--exclude)"] += 1
        elif options.labels == "unique" and labels[item.label.casefold()] > 1:
            left_out["object: its label is not unique (--labels unique)"] += 1
        else:
            kept.append(item)
    return kept, left_out


def numbered(items: Sequence[SceneObject]) -> dict[str, str]:
    """uid → label; labels that several objects have get a number in the order of the objects."""
    total = Counter(item.label for item in items)
    count: Counter[str] = Counter()
    found = {}
    for item in items:
        count[item.label] += 1
        many = total[item.label] > 1
        found[item.uid] = f"{item.label} {count[item.label]}" if many else item.label
    return found


def choose(
    scene: Scene,
    items: Sequence[SceneObject],
    frames: Sequence[Surveyed],
    options: ChoiceOptions,
    rejected: AbstractSet[Pair] = frozenset(),
) -> Chosen:
    """Choose objects and their frames.

    Args:
        scene: the scene.
        items: the objects that may be used.
        frames: the survey of its usable frames.
        options: the thresholds; a scene whose frames are given as they are has none but the numbers.
        rejected: pairs that turned out otherwise than surveyed.
    """
    if not scene.choose_frames:
        options = replace(
            options, min_share=0.0, min_share_first=0.0, max_share=1.0, min_visible=0.0,
            min_visible_first=0.0, min_difference=0.0, min_apart=0.0,
        )  # fmt: skip
    labels = numbered(items)
    left_out: Counter[str] = Counter()
    found: list[Choice] = []
    for item in items:
        result = _Object(scene, item, frames, options, rejected).choose()
        if isinstance(result, str):
            left_out[f"object: {result}"] += 1
        else:
            found.append(replace(result, label=labels[item.uid]))
    best = sorted(found, key=lambda choice: -choice.score)[: options.objects]
    if len(best) < len(found):
        left_out["object: beyond --objects"] += len(found) - len(best)
    chosen = tuple(choice for choice in found if choice in best)
    without = sum(not choice.absent for choice in chosen)
    if without and options.absent:
        left_out["view without the object: no frame is known not to show it"] += without
    return Chosen(chosen, dict(sorted(left_out.items())))


class _Object:
    """The choice of one object's frames."""

    def __init__(
        self,
        scene: Scene,
        item: SceneObject,
        frames: Sequence[Surveyed],
        options: ChoiceOptions,
        rejected: AbstractSet[Pair],
    ) -> None:
        self.scene, self.item, self.options = scene, item, options
        self.frames = [
            one
            for one in frames
            if item.uid in one.sights and (item.uid, one.frame.name) not in rejected
        ]
        self.angles = _angles(item, self.frames)

    def choose(self) -> Choice | str:
        """The choice, or the reason why there is none."""
        shows = [k for k in range(len(self.frames)) if self._shows(k)]
        if not shows:
            return "too small, too large or too hidden in every frame"
        firsts = sorted((k for k in shows if self._fit_for_first(k)), key=self._rank)
        if not firsts:
            return "in no frame large, whole and visible enough for view 01"
        options = self.options
        wanted = options.views - options.absent
        tries = [self._spread(first, shows, wanted) for first in firsts[:_FIRST_CANDIDATES]]
        visible = max(tries, key=lambda views: (self._in_range(views), -tries.index(views)))
        if len(visible) < min(options.min_visible_views, options.views):
            return f"fewer than {options.min_visible_views} frames that show it and differ enough"
        absent = self._absent(visible, options.views - len(visible))
        order = [visible[0], *sorted(visible[1:] + absent, key=self._shuffle)]
        names = tuple(self.frames[k].frame.name for k in order)
        missing = frozenset(self.frames[k].frame.name for k in absent)
        return Choice(self.item, self.item.label, names, missing, self._score(visible[0]))

    def _sight(self, k: int) -> Sight:
        return self.frames[k].sights[self.item.uid]

    def _share(self, k: int) -> float:
        return self._sight(k).pixels / self.frames[k].area

    def _shows(self, k: int) -> bool:
        sight, options = self._sight(k), self.options
        visible = 1.0 if sight.visible_fraction is None else sight.visible_fraction
        enough = sight.pixels > 0 and visible >= options.min_visible
        return enough and options.min_share <= self._share(k) <= options.max_share

    def _fit_for_first(self, k: int) -> bool:
        sight, options = self._sight(k), self.options
        visible = 1.0 if sight.visible_fraction is None else sight.visible_fraction
        return (
            self._share(k) >= options.min_share_first
            and visible >= options.min_visible_first
            and (sight.in_frame_fraction is None or sight.in_frame_fraction >= _LEAST_FRAMED)
        )

    def _is_whole(self, k: int) -> bool:
        framed = self._sight(k).in_frame_fraction
        whole = self.item.uid in self.frames[k].whole
        return whole if framed is None else framed >= _WHOLE or (whole and framed > 0.9)

    def _score(self, k: int) -> float:
        """How well a frame sees the object: its visible fraction, then its size."""
        visible = self._sight(k).visible_fraction
        return (1.0 if visible is None else visible) + 2 * min(self._share(k), 0.1)

    def _rank(self, k: int) -> tuple[bool, float, int]:
        return not self._is_whole(k), -self._score(k), k

    def _shuffle(self, k: int) -> int:
        """A fixed order in which neither the best nor the absent views come first."""
        frame = self.frames[k].frame.name
        return sample_seed(0, self.scene.split, self.scene.name, f"{self.item.uid} {frame}")

    def _in_range(self, views: Sequence[int]) -> int:
        """Views whose angles to all others lie within the limits."""
        return sum(all(self._apart(a, b) for b in views if b != a) for a in views)

    def _apart(self, a: int, b: int) -> bool:
        if self.angles is None or not np.isfinite(self.angles[a, b]):
            return True
        return self.options.min_angle <= float(self.angles[a, b]) <= self.options.max_angle

    def _duplicates(self, a: int, b: int) -> bool:
        """Whether two frames are too alike to be used both."""
        if self.angles is not None and np.isfinite(self.angles[a, b]):
            return float(self.angles[a, b]) < self.options.min_apart
        return self._difference(a, b) < self.options.min_difference

    def _difference(self, a: int, b: int) -> float:
        return difference(self.frames[a].thumbnail, self.frames[b].thumbnail)

    def _spread(self, first: int, shows: Sequence[int], wanted: int) -> list[int]:
        """View 01 and others that show the object, each as far from the others as the limits allow."""
        views = [first]
        while len(views) < wanted:
            rest = [
                k
                for k in shows
                if k not in views and not any(self._duplicates(k, other) for other in views)
            ]
            if not rest:
                break
            views.append(max(rest, key=lambda k: (*self._distance(k, views), self._score(k), -k)))
        return views

    def _distance(self, k: int, views: Sequence[int]) -> tuple[int, float]:
        """Number of views within the limits, and the least angle (or difference of pictures)."""
        fitting = sum(self._apart(k, other) for other in views)
        if self.angles is not None and np.isfinite(self.angles[k, views]).all():
            least = float(np.min(self.angles[k, views]))
            beyond = float(np.max(self.angles[k, views])) - self.options.max_angle
            return fitting, min(least, -beyond) if beyond > 0 else least
        return fitting, min(self._difference(k, other) for other in views)

    def _absent(self, visible: Sequence[int], most: int) -> list[int]:
        """Frames that do not show the object: those that hide it, or those that miss it, first."""
        known = [k for k in range(len(self.frames)) if self._is_absent(k)]
        stream = self._stream()
        hides = stream.random() < _HIDDEN_FIRST
        order = {k: float(draw) for k, draw in zip(known, stream.random(len(known)), strict=True)}
        known.sort(key=lambda k: ((self._sight(k).absent_by == "framing") == hides, order[k]))
        found: list[int] = []
        for k in known:
            if len(found) >= min(most, max(self.options.absent, self.options.views // 2)):
                break
            alike = (self._difference(k, other) for other in (*visible, *found))
            if all(value >= self.options.min_difference for value in alike):
                found.append(k)
        return found

    def _is_absent(self, k: int) -> bool:
        sight = self._sight(k)
        return sight.pixels == 0 and (self.scene.absence_given or sight.absent_by is not None)

    def _stream(self) -> np.random.Generator:
        seed = sample_seed(0, self.scene.split, self.scene.name, f"{self.item.uid} absent")
        return np.random.default_rng(seed)


def _angles(item: SceneObject, frames: Sequence[Surveyed]) -> Float64 | None:
    """Degrees at the object between the directions of all frames ``[n, n]``; NaN where unknown."""
    if item.box is None or not frames:
        return None
    centre = item.box.mean(axis=0)
    towards = np.stack(
        [
            np.full(3, np.nan) if one.frame.camera is None else one.frame.camera.position - centre
            for one in frames
        ]
    )
    size = np.linalg.norm(towards, axis=1, keepdims=True)
    unit = towards / np.where(size > 0, size, np.nan)
    return np.asarray(np.degrees(np.arccos(np.clip(unit @ unit.T, -1, 1))))


def difference(a: Float32, b: Float32) -> float:
    """Mean grey difference of two thumbnails, 0 to 255."""
    return float(np.abs(a - b).mean())
