"""Ray casting with Intel Embree (package embreex)."""

from __future__ import annotations

import numpy as np
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene

from x3spatial.arrays import Bool, Float32, Int32
from x3spatial.raycast.hits import Hits


class EmbreeTracer:
    """``tracer.Tracer`` on Embree. embreex holds the GIL while it traces: use processes."""

    def __init__(self, vertices: Float32, faces: Int32) -> None:
        self._scene = EmbreeScene()
        # The scene does not keep its mesh alive.
        self._mesh = TriangleMesh(
            self._scene, np.ascontiguousarray(vertices), np.ascontiguousarray(faces)
        )

    def first_hit(self, origins: Float32, directions: Float32, max_distance: Float32) -> Hits:
        """See ``Tracer``."""
        if len(origins) == 0:
            none = np.zeros(0, np.float32)
            return Hits(np.zeros(0, np.int32), none, none, none)
        # embreex overwrites the array of distances.
        found = self._scene.run(origins, directions, dists=max_distance.copy(), output=1)
        return Hits(found["primID"], found["tfar"], found["u"], found["v"])

    def occluded(self, origins: Float32, directions: Float32, max_distance: Float32) -> Bool:
        """See ``Tracer``."""
        if len(origins) == 0:
            return np.zeros(0, np.bool_)
        found = self._scene.run(origins, directions, dists=max_distance.copy(), query="OCCLUDED")
        return np.asarray(found == 0)
