"""The two questions that rendering asks of geometry, and who answers them.

``embree`` is the fast one (docs/scenes.md); ``numba`` runs where embreex has no wheel. Which one
is taken is recorded in every scene, because their pictures may differ in single pixels.
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import NamedTuple, Protocol

from x3spatial.arrays import Bool, Float32, Int32
from x3spatial.errors import UserError

BACKENDS = ("embree", "numba")
VARIABLE = "X3_TRACER"


class Hits(NamedTuple):
    """What n rays met first. Where ``triangle`` is -1 the other values mean nothing.

    A hit point is (1 - u - v) * a + u * b + v * c of its triangle's vertices.
    """

    triangle: Int32  # [n]
    distance: Float32  # [n] in lengths of the direction
    u: Float32  # [n]
    v: Float32  # [n]


class Tracer(Protocol):
    """Rays against a set of triangles. All arrays float32: ``[n, 3]``, ``[n, 3]``, ``[n]``."""

    def first_hit(self, origins: Float32, directions: Float32, reach: Float32) -> Hits:
        """The nearest hit of each ray within ``reach``."""

    def occluded(self, origins: Float32, directions: Float32, reach: Float32) -> Bool:
        """Whether anything lies on each ray within ``reach``: ``[n]``."""


def backend() -> str:
    """The backend in use: ``X3_TRACER`` where it is set, else the best installed.

    Raises:
        UserError: the one asked for, or any, is not there.
    """
    modules = {"embree": "embreex", "numba": "numba"}
    asked = os.environ.get(VARIABLE)
    if asked is not None:
        if asked not in modules:
            raise UserError(f"{VARIABLE}={asked}: must be one of {', '.join(BACKENDS)}")
        if find_spec(modules[asked]) is None:
            raise UserError(f"{VARIABLE}={asked}: {modules[asked]} is not installed")
        return asked
    for name in BACKENDS:
        if find_spec(modules[name]) is not None:
            return name
    raise UserError("rendering scenes needs embreex or numba: pip install embreex (or numba)")


def make_tracer(vertices: Float32, faces: Int32, name: str) -> Tracer:
    """A tracer for the triangles ``faces [m, 3]`` over ``vertices [n, 3]``."""
    if name == "embree":
        from x3spatial.raycast.embree import EmbreeTracer

        return EmbreeTracer(vertices, faces)
    from x3spatial.raycast.bvh import BvhTracer

    return BvhTracer(vertices, faces)
