"""What every camera of a room shows of every object: the part of ``scene.json`` that verifies absence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from x3spatial.arrays import Float64, Int64
from x3spatial.synth import visibility
from x3spatial.synth.rendering.camera import Camera
from x3spatial.synth.rendering.geometry import Geometry
from x3spatial.synth.viewpoints import View, view_of

_POINTS = 256
"""Surface points per object for ``overlap``."""


def owners(geometry: Geometry, camera: Camera) -> Int64:
    """The uid of what each pixel's centre shows, ``[H, W]``; 0 for the room."""
    hits = visibility.first_hits(geometry, camera, camera.pixel_rays())
    found = np.where(hits.triangle >= 0, geometry.owner[hits.triangle], 0)
    return np.asarray(found.reshape(camera.height, camera.width), np.int64)


def described(view: View, *, seen_by_any_sample: bool) -> dict[str, Any]:
    """An entry of ``visibility``.

    ``absent_by`` is null also where no pixel's centre shows the object but one of the image's samples does:
    such a view verifies nothing.
    """
    facts = view.facts()
    return {**facts, "absent_by": None} if seen_by_any_sample else facts


def overlaps(geometry: Geometry, uid: int, cameras: Sequence[Camera]) -> Float64:
    """``[A, B]``: the share of the object's surface points seen by camera A that lie in the frame of B.

    NaN where A sees none of them. What hides them from B is not asked.
    """
    points = geometry.surface_points(uid, _POINTS, np.random.default_rng(uid))
    seen = np.stack([visibility.clear_points(geometry, camera, points) for camera in cameras])
    framed = np.stack([camera.inside(*camera.project(points)) for camera in cameras])
    both = seen.astype(np.float64) @ framed.T.astype(np.float64)
    count = seen.sum(axis=1, keepdims=True)
    return np.where(count > 0, both / np.maximum(count, 1), np.nan)


def sightings(
    geometry: Geometry, targets: Sequence[int], cameras: Mapping[str, Camera], side: int
) -> dict[str, Any]:
    """The keys ``pixels``, ``visibility`` and ``overlap`` of ``scene.json``.

    Args:
        geometry: the room with all objects.
        targets: uids of the objects that have folders.
        cameras: frame → camera.
        side: the image has ``side`` x ``side`` samples per pixel.
    """
    pixels: dict[str, dict[str, int]] = {}
    sights: dict[str, dict[str, Any]] = {str(uid): {} for uid in targets}
    for number, (frame, camera) in enumerate(cameras.items()):
        shown = owners(geometry, camera)
        counts = np.bincount(shown.ravel(), minlength=geometry.objects + 1)
        pixels[frame] = {str(uid): int(counts[uid]) for uid in np.flatnonzero(counts) if uid}
        for uid in targets:
            view = view_of(geometry, uid, number, camera, shown == uid)
            # Also with in_frame_fraction 0: samples between the centres may reach into the frame's edge.
            sampled = bool(counts[uid]) or visibility.hit_by_any_sample(geometry, uid, camera, side)
            sights[str(uid)][frame] = described(view, seen_by_any_sample=sampled)
    shares: dict[str, Any] = {}
    for uid in targets:
        table = overlaps(geometry, uid, list(cameras.values()))
        shares[str(uid)] = {
            a: {
                b: round(float(table[i, j]), 4)
                for j, b in enumerate(cameras)
                if i != j and np.isfinite(table[i, j])
            }
            for i, a in enumerate(cameras)
        }
    return {"pixels": pixels, "visibility": sights, "overlap": shares}
