"""Choice of negatives: views of other folders in which a marked object is verified to be absent.

A view counts as verified if ``scene.json`` says that none of the image's samples shows the object, if it lies
at another place, or if it shows the object's place after the object was removed. The object's own views are
Task2A's, its inpainted views the counterfactual set's; neither is chosen here. The choice depends on the
data, the shares and the seed, not on the order of the work.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Literal

import numpy as np

from x3spatial.errors import UserError
from x3spatial.roots.scene_file import SceneFile, Sight
from x3spatial.tasks.ground_truth import sample_seed
from x3spatial.tasks.strata import ABSENCES, ABSENT_BY, Absence

DEFAULT_SHARES: Mapping[Absence, float] = {
    "framing": 0.2,
    "occlusion": 0.2,
    "other_scene": 0.2,
    "removed_rescan": 0.2,
}
"""Negatives of each kind per positive."""
SHOWS_PLACE = 0.3
"""Share of a removed object's outline that a rescan's view would have to show of it."""
BARELY_VISIBLE = 15
"""Views with 1 to this many visible pixels are neither negatives nor positives."""
_DRAWS = 50
"""Draws per wanted view of another scene; more do not help if most views are of the object's own place."""


@dataclass(frozen=True, slots=True, order=True)
class Viewpoint:
    """An original image of the root: the folder and the rank under which it is found."""

    scene: str
    frame: str
    uid: str
    rank: str


@dataclass(frozen=True, slots=True, order=True)
class Reference:
    """A marked view of an object."""

    scene: str
    uid: str
    rank: str
    frame: str


@dataclass(frozen=True, slots=True)
class Negative:
    """A reference, a view that does not show its object, and why."""

    reference: Reference
    view: Viewpoint
    absence: Absence
    verified: Literal["geometry", "none"]


@dataclass(frozen=True, slots=True)
class Chosen:
    """The negatives of one split, and how many of each kind could not be had."""

    negatives: tuple[Negative, ...]
    missing: dict[str, int]
    barely_visible: int
    """Pairs of a reference and a view that were passed over because a few pixels show the object."""


def parse_shares(text: str) -> dict[Absence, float]:
    """Parse ``--negatives``, such as ``framing=0.2,other_scene=0.5``.

    Raises:
        UserError: a kind is unknown or named twice, or a share is not a number of at least 0.
    """
    shares: dict[Absence, float] = {}
    for piece in text.split(","):
        name, _, number = (part.strip() for part in piece.partition("="))
        kind = next((absence for absence in ABSENCES if absence == name), None)
        if kind is None:
            raise UserError(f"--negatives {name}: known are {', '.join(ABSENCES)}")
        try:
            share = float(number)
        except ValueError:
            share = -1.0
        if kind in shares or not 0 <= share < float("inf"):
            raise UserError(f"--negatives {piece.strip()}: once each, as {name}=SHARE, 0 or more")
        shares[kind] = share
    return shares


def choose_negatives(
    references: Iterable[Reference],
    views: Iterable[Viewpoint],
    positives: int,
    scenes: Mapping[str, SceneFile | None],
    places: Mapping[str, str],
    shares: Mapping[Absence, float],
    *,
    seed: int,
    split: str,
) -> Chosen:
    """Choose the negatives of a split.

    Args:
        references: all marked views.
        views: all original images, in every folder in which they lie.
        positives: the number of Task1 pairs that show their object.
        scenes: scene → its ``scene.json``; None where there is none.
        places: scene → place; views of one place never count as another scene's.
        shares: kind → negatives per positive.
        seed: seed of the build.
        split: name of the split's folder.
    """
    marked, listed = sorted(references), sorted(views)
    once = _one_per_frame(listed)
    own: dict[tuple[str, str], set[str]] = defaultdict(set)
    for view in listed:
        own[view.scene, view.uid].add(view.frame)
    found, barely = _in_scene(marked, once, own, scenes)
    known = {name for name, scene in scenes.items() if scene is not None}
    removed = _removed(scenes)
    gone = _in_rescans(marked, once, removed)
    chosen: list[Negative] = []
    missing: dict[str, int] = {}
    for absence, share in shares.items():
        wanted = round(share * positives)
        rng = np.random.default_rng(sample_seed(seed, split, "negatives", absence))
        if absence == "other_scene":
            picked = _elsewhere(marked, once, known, places, wanted, rng)
        else:
            candidates = gone if absence == "removed_rescan" else found[absence]
            order = rng.permutation(len(candidates))[:wanted]
            picked = [candidates[int(index)] for index in sorted(order)]
        chosen += picked
        if absence == "removed_rescan" and not removed and share == DEFAULT_SHARES[absence]:
            continue  # nobody expects any
        missing[absence] = wanted - len(picked)
    chosen.sort(key=lambda one: (one.reference, one.view, one.absence))
    return Chosen(tuple(chosen), missing, barely)


def _one_per_frame(views: Sequence[Viewpoint]) -> dict[str, list[Viewpoint]]:
    """Scene → one viewpoint per frame, the first in order: folders of a scene hold the same image."""
    first: dict[tuple[str, str], Viewpoint] = {}
    for view in views:
        first.setdefault((view.scene, view.frame), view)
    scenes: dict[str, list[Viewpoint]] = defaultdict(list)
    for view in first.values():
        scenes[view.scene].append(view)
    return dict(scenes)


def _in_scene(
    references: Sequence[Reference],
    views: Mapping[str, Sequence[Viewpoint]],
    own: Mapping[tuple[str, str], set[str]],
    scenes: Mapping[str, SceneFile | None],
) -> tuple[dict[str, list[Negative]], int]:
    """All verified absences in the references' own scenes by kind, and the barely visible pairs."""
    found: dict[str, list[Negative]] = {absence: [] for absence in ABSENT_BY}
    barely = 0
    for reference in references:
        scene = scenes.get(reference.scene)
        if scene is None:
            continue
        for view in views.get(reference.scene, ()):
            sight = scene.sights.get(reference.uid, {}).get(view.frame)
            if sight is None or view.frame in own[reference.scene, reference.uid]:
                continue
            barely += 1 <= sight.pixels <= BARELY_VISIBLE
            if sight.absent_by is not None and sight.pixels == 0:
                absence = next(a for a in ABSENT_BY if a == sight.absent_by)
                found[absence].append(Negative(reference, view, absence, "geometry"))
    return found, barely


_Removed = Mapping[str, Sequence[tuple[str, Mapping[str, Mapping[str, Sight]]]]]
"""Scan → the later scans that lack some of its objects: name, and uid → frame → what it would show."""


def _removed(scenes: Mapping[str, SceneFile | None]) -> _Removed:
    """What later scans of a place lack, by the earlier scan."""
    found: dict[str, list[tuple[str, Mapping[str, Mapping[str, Sight]]]]] = {}
    for name in sorted(scenes):
        scene = scenes[name]
        for earlier, sights in (scene.removed if scene is not None else {}).items():
            found.setdefault(earlier, []).append((name, sights))
    return found


def _in_rescans(
    references: Sequence[Reference],
    views: Mapping[str, Sequence[Viewpoint]],
    removed: _Removed,
) -> list[Negative]:
    """Views of other scans of the references' places that show where the object was before it was removed."""
    found = []
    for reference in references:
        for name, sights in removed.get(reference.scene, ()):
            for view in views.get(name, ()):
                sight = sights.get(reference.uid, {}).get(view.frame)
                if (
                    sight is not None
                    and sight.pixels > BARELY_VISIBLE
                    and (sight.visible_fraction or 0.0) >= SHOWS_PLACE
                ):
                    found.append(Negative(reference, view, "removed_rescan", "geometry"))
    return found


def _elsewhere(
    references: Sequence[Reference],
    views: Mapping[str, Sequence[Viewpoint]],
    known: AbstractSet[str],
    places: Mapping[str, str],
    wanted: int,
    rng: np.random.Generator,
) -> list[Negative]:
    """Views of other places, drawn at random; each pair once."""
    everywhere = [view for scene in sorted(views) for view in views[scene]]
    if not references or len({places[view.scene] for view in everywhere}) < 2:
        return []
    taken: set[tuple[Reference, Viewpoint]] = set()
    picked: list[Negative] = []
    for _ in range(_DRAWS * wanted):
        if len(picked) == wanted:
            break
        reference = references[int(rng.integers(len(references)))]
        view = everywhere[int(rng.integers(len(everywhere)))]
        if places[view.scene] == places[reference.scene] or (reference, view) in taken:
            continue
        taken.add((reference, view))
        verified = {reference.scene, view.scene} <= known
        picked.append(Negative(reference, view, "other_scene", "geometry" if verified else "none"))
    return picked


def kinds_of(negatives: Iterable[Negative]) -> dict[str, int]:
    """The number of negatives of each kind."""
    return dict(sorted(Counter(one.absence for one in negatives).items()))
