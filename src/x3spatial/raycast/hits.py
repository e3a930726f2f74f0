"""The result of a ray tracer."""

from __future__ import annotations

from typing import NamedTuple

from x3spatial.arrays import Float32, Int32


class Hits(NamedTuple):
    """First hits of n rays. The other values are undefined where ``triangle`` is -1 (no hit).

    The hit point is (1 - u - v) * a + u * b + v * c, with the vertices a, b and c of its triangle.
    """

    triangle: Int32  # [n] index of the triangle, -1: no hit
    distance: Float32  # [n] in multiples of the ray's direction vector
    u: Float32  # [n] barycentric
    v: Float32  # [n] barycentric
