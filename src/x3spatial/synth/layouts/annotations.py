"""Segments and annotated groups of a mesh, as ScanNet, ScanNet++ and 3RScan store them."""

from __future__ import annotations

from typing import Any

import numpy as np

from x3spatial.arrays import Int64
from x3spatial.synth.layouts.scan import Instance, Mesh

_SLICE = 0.25
"""Height in metres of a segment. Real segments follow edges; here objects only have to have several."""


def segments(mesh: Mesh) -> Int64:
    """The segment of each vertex, ``[n]``, named by its first vertex as the segmentator of ScanNet does."""
    level = np.floor(mesh.vertices[:, 2] / _SLICE).astype(np.int64)
    keys = np.stack([mesh.instance.astype(np.int64), level], axis=1)
    _, first, which = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    return np.asarray(first[which.reshape(-1)], np.int64)


def groups(
    mesh: Mesh, segment: Int64, instances: tuple[Instance, ...], first_id: int
) -> list[dict[str, Any]]:
    """The entries of ``segGroups``; ids count from ``first_id`` instead of 1."""
    entries = []
    for number, instance in enumerate(instances):
        mine = mesh.instance == instance.id
        points = mesh.vertices[mine].astype(np.float64)
        low, high = points.min(axis=0), points.max(axis=0)
        entries.append(
            {
                "id": number,
                "objectId": instance.id - 1 + first_id,
                "segments": np.unique(segment[mine]).tolist(),
                "label": instance.kind,
                "obb": {
                    "centroid": np.round((low + high) / 2, 6).tolist(),
                    "axesLengths": np.round(high - low, 6).tolist(),
                    "normalizedAxes": np.eye(3).reshape(-1).tolist(),
                },
            }
        )
    return entries
