"""The strata of a sample, from ``scene.json``."""

from __future__ import annotations

from x3spatial.roots.scene_file import SceneFile, count_kind
from x3spatial.tasks.strata import Strata


def strata_of(
    scene: SceneFile, uid: str, frame_a: str, frame_b: str, mask_share: float | None
) -> Strata:
    """The strata of a question about object ``uid`` of a scene, with both views in it.

    Args:
        scene: the scene of the object and of both views.
        uid: the object.
        frame_a: frame of the reference view.
        frame_b: frame of the query view; the same for questions about one view.
        mask_share: share of the query image that the mask covers.
    """
    sights = scene.sights.get(uid, {})
    overlap = scene.overlap.get(uid, {}).get(frame_a, {}).get(frame_b)
    seen_a, seen_b = sights.get(frame_a), sights.get(frame_b)
    if frame_a == frame_b and seen_a is not None and seen_a.pixels:
        overlap = 1.0
    return Strata(
        angle_deg=_rounded(scene.angle(uid, frame_a, frame_b), 2),
        baseline_m=_rounded(scene.baseline(frame_a, frame_b), 3),
        overlap=overlap,
        visible_a=None if seen_a is None else seen_a.visible_fraction,
        visible_b=None if seen_b is None else seen_b.visible_fraction,
        lookalikes=scene.lookalikes(uid, frame_b),
        mask_share=mask_share,
    )


def strata_elsewhere(
    scene: SceneFile | None, uid: str, frame_a: str, other: SceneFile | None, frame_b: str
) -> Strata:
    """The strata of a question whose query view lies in another scene, which cannot show the object."""
    seen = None if scene is None else scene.sights.get(uid, {}).get(frame_a)
    kind = None if scene is None else scene.kinds.get(uid)
    lookalikes = None
    if other is not None and kind is not None and frame_b in other.pixels:
        lookalikes = count_kind(other.pixels[frame_b], other.kinds, kind, None)
    return Strata(visible_a=None if seen is None else seen.visible_fraction, lookalikes=lookalikes)


def _rounded(value: float | None, decimals: int) -> float | None:
    return None if value is None else round(value, decimals)
