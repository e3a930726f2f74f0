"""The interface of ray tracers, and the choice of a backend.

``embree`` is the faster backend (docs/scenes.md); ``numba`` runs where embreex has no wheel. Every
scene records its backend, because the images of the two may differ in single pixels.
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import Protocol

from x3spatial.arrays import Bool, Float32, Int32
from x3spatial.errors import UserError, missing_package
from x3spatial.raycast.hits import Hits

BACKENDS = ("embree", "numba")
VARIABLE = "X3_TRACER"


class Tracer(Protocol):
    """Casts rays against a set of triangles.

    ``origins`` [n, 3] and ``directions`` [n, 3] are in the frame and unit of the triangles' vertices;
    ``max_distance`` [n] is in multiples of the direction vector. All are float32 and C-contiguous.
    """

    def first_hit(self, origins: Float32, directions: Float32, max_distance: Float32) -> Hits:
        """Return the nearest hit of each ray within ``max_distance``."""

    def occluded(self, origins: Float32, directions: Float32, max_distance: Float32) -> Bool:
        """Return, per ray, whether any triangle lies within ``max_distance``: [n]."""


def backend(wanted_by: str = "rendering") -> str:
    """Return the name of the backend: ``X3_TRACER`` if set, else the fastest one installed.

    Args:
        wanted_by: the command that needs it, for the message.

    Raises:
        UserError: ``X3_TRACER`` names an unknown backend or one that is not installed, or no backend
            is installed.
    """
    modules = {"embree": "embreex", "numba": "numba"}
    asked = os.environ.get(VARIABLE)
    if asked is not None:
        if asked not in modules:
            raise UserError(f"{VARIABLE}={asked}: must be {' or '.join(BACKENDS)}")
        if find_spec(modules[asked]) is None:
            raise missing_package(modules[asked], "render", f"{wanted_by}: {VARIABLE}={asked}")
        return asked
    for name in BACKENDS:
        if find_spec(modules[name]) is not None:
            return name
    raise missing_package("embreex", "render", wanted_by)


def make_tracer(vertices: Float32, faces: Int32, name: str) -> Tracer:
    """Create a tracer.

    Args:
        vertices: [n, 3], in any frame and unit; rays use the same.
        faces: [m, 3] vertex indices of the triangles.
        name: one of ``BACKENDS``.
    """
    if name == "embree":
        from x3spatial.raycast.embree import EmbreeTracer

        return EmbreeTracer(vertices, faces)
    from x3spatial.raycast.bvh import BvhTracer

    return BvhTracer(vertices, faces)
