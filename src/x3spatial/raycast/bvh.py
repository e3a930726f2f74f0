"""Ray casting with a bounding-volume hierarchy (BVH) compiled by numba.

The fallback for platforms without an embreex wheel (Linux on aarch64), three to four times slower
than Embree.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from x3spatial.arrays import Bool, Float32, Int32
from x3spatial.raycast.hits import Hits

LEAF = 4  # most triangles in a leaf
BINS = 12  # candidate splits per node
STACK = 96  # traversal stack; a tree over 2**31 triangles needs less


def _jit(function: Any) -> Any:
    """Compile ``function``, with an on-disk cache where the cache folder is writable."""
    try:
        return numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:  # no writable folder for the cache
        return numba.njit(nogil=True)(function)


@_jit
def _build(low, high, order, box, child, count):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Fill the node arrays and return the number of nodes.

    A node with ``count`` > 0 is a leaf with the triangles ``order[child : child + count]``; any other
    node has the children ``child`` and ``child + 1``. ``low`` and ``high`` [m, 3] are the corners of
    the triangles' bounding boxes.
    """
    stack = np.empty((STACK, 3), np.int64)
    stack[0] = (0, 0, len(order))
    top, nodes = 1, 1
    area = np.empty(BINS)
    while top > 0:
        top -= 1
        node, start, end = stack[top]
        lo, hi = np.full(3, np.inf), np.full(3, -np.inf)
        clo, chi = np.full(3, np.inf), np.full(3, -np.inf)
        for i in range(start, end):
            t = order[i]
            for a in range(3):
                lo[a] = min(lo[a], low[t, a])
                hi[a] = max(hi[a], high[t, a])
                c = 0.5 * (low[t, a] + high[t, a])
                clo[a] = min(clo[a], c)
                chi[a] = max(chi[a], c)
        box[node, :3] = lo
        box[node, 3:] = hi
        size = end - start
        axis = np.argmax(chi - clo)
        width = chi[axis] - clo[axis]
        if size <= LEAF:
            child[node] = start
            count[node] = size
            continue
        middle = (start + end) // 2
        if width > 0.0 and top < STACK // 2:
            # Surface-area heuristic over equal bins.
            n = np.zeros(BINS, np.int64)
            blo, bhi = np.full((BINS, 3), np.inf), np.full((BINS, 3), -np.inf)
            for i in range(start, end):
                t = order[i]
                c = 0.5 * (low[t, axis] + high[t, axis])
                b = min(BINS - 1, int((c - clo[axis]) / width * BINS))
                n[b] += 1
                for a in range(3):
                    blo[b, a] = min(blo[b, a], low[t, a])
                    bhi[b, a] = max(bhi[b, a], high[t, a])
            lo[:], hi[:] = np.inf, -np.inf
            left = 0
            for b in range(BINS - 1):
                lo, hi = np.minimum(lo, blo[b]), np.maximum(hi, bhi[b])
                left += n[b]
                e = hi - lo
                area[b] = left * (e[0] * e[1] + e[1] * e[2] + e[2] * e[0]) if left > 0 else np.inf
            lo, hi = np.full(3, np.inf), np.full(3, -np.inf)
            right, best, cut = 0, np.inf, -1
            for b in range(BINS - 1, 0, -1):
                lo, hi = np.minimum(lo, blo[b]), np.maximum(hi, bhi[b])
                right += n[b]
                if right == 0 or right == size:
                    continue
                e = hi - lo
                cost = area[b - 1] + right * (e[0] * e[1] + e[1] * e[2] + e[2] * e[0])
                if cost < best:
                    best, cut = cost, b
            if cut > 0:
                i, j = start, end - 1
                while i <= j:
                    t = order[i]
                    c = 0.5 * (low[t, axis] + high[t, axis])
                    if min(BINS - 1, int((c - clo[axis]) / width * BINS)) < cut:
                        i += 1
                    else:
                        order[i] = order[j]
                        order[j] = t
                        j -= 1
                if start < i < end:
                    middle = i
        child[node] = nodes
        count[node] = 0
        stack[top] = (nodes, start, middle)
        stack[top + 1] = (nodes + 1, middle, end)
        top += 2
        nodes += 2
    return nodes


@_jit
def _trace(  # type: ignore[no-untyped-def]  # pragma: no cover
    corner, edge1, edge2, order, box, child, count, origins, directions, max_distance, any_hit,
    triangle, distance, us, vs,
):  # fmt: skip
    """Find the first hit of every ray, or with ``any_hit`` some hit (triangle >= 0)."""
    stack = np.empty(STACK, np.int64)
    for ray in range(len(origins)):
        ox, oy, oz = origins[ray, 0], origins[ray, 1], origins[ray, 2]
        dx, dy, dz = directions[ray, 0], directions[ray, 1], directions[ray, 2]
        # A zero component gives an infinity, which the slab test below handles.
        ix = np.float32(1.0) / dx if dx != 0 else np.float32(np.inf)
        iy = np.float32(1.0) / dy if dy != 0 else np.float32(np.inf)
        iz = np.float32(1.0) / dz if dz != 0 else np.float32(np.inf)
        nearest, found = max_distance[ray], -1
        hu, hv = np.float32(0), np.float32(0)
        stack[0] = 0
        top = 1
        while top > 0:
            top -= 1
            node = stack[top]
            near, far = np.float32(0), nearest
            miss = False
            for a in range(3):
                o = ox if a == 0 else (oy if a == 1 else oz)
                inv = ix if a == 0 else (iy if a == 1 else iz)
                if np.isinf(inv):
                    if o < box[node, a] or o > box[node, a + 3]:
                        miss = True
                    continue
                t0, t1 = (box[node, a] - o) * inv, (box[node, a + 3] - o) * inv
                near = max(near, min(t0, t1))
                far = min(far, max(t0, t1) * np.float32(1.000001))
            if miss or near > far:
                continue
            n = count[node]
            if n == 0:
                stack[top] = child[node]
                stack[top + 1] = child[node] + 1
                top += 2
                continue
            for k in range(child[node], child[node] + n):
                t = order[k]
                ex, ey, ez = edge2[t, 0], edge2[t, 1], edge2[t, 2]
                px, py, pz = dy * ez - dz * ey, dz * ex - dx * ez, dx * ey - dy * ex
                fx, fy, fz = edge1[t, 0], edge1[t, 1], edge1[t, 2]
                det = fx * px + fy * py + fz * pz
                if det == 0:
                    continue
                inv_det = np.float32(1) / det
                tx, ty, tz = ox - corner[t, 0], oy - corner[t, 1], oz - corner[t, 2]
                u = (tx * px + ty * py + tz * pz) * inv_det
                if u < 0 or u > 1:
                    continue
                qx, qy, qz = ty * fz - tz * fy, tz * fx - tx * fz, tx * fy - ty * fx
                v = (dx * qx + dy * qy + dz * qz) * inv_det
                if v < 0 or u + v > 1:
                    continue
                s = (ex * qx + ey * qy + ez * qz) * inv_det
                # Of two triangles at one distance the lower index wins: the result does not
                # depend on the tree.
                if s > 0 and (s < nearest or (s == nearest and found >= 0 and t < found)):
                    nearest, found, hu, hv = s, t, u, v
            if any_hit and found >= 0:
                break
        triangle[ray] = found
        distance[ray] = nearest
        us[ray], vs[ray] = hu, hv


class BvhTracer:
    """``tracer.Tracer`` on a BVH in numba; releases the GIL while it traces."""

    def __init__(self, vertices: Float32, faces: Int32) -> None:
        points = np.ascontiguousarray(vertices, np.float32)[faces]  # [m, 3, 3]
        self._corner = np.ascontiguousarray(points[:, 0])
        self._edge1 = np.ascontiguousarray(points[:, 1] - points[:, 0])
        self._edge2 = np.ascontiguousarray(points[:, 2] - points[:, 0])
        m = len(faces)
        self._order = np.arange(m)
        box = np.empty((2 * m + 1, 6), np.float32)
        child, count = np.zeros(2 * m + 1, np.int64), np.zeros(2 * m + 1, np.int64)
        nodes = _build(points.min(axis=1), points.max(axis=1), self._order, box, child, count)
        # Boxes are padded: rounding must not lose a triangle that lies in a face of its box.
        box[:nodes, :3] -= np.float32(1e-5)
        box[:nodes, 3:] += np.float32(1e-5)
        self._box, self._child, self._count = box[:nodes].copy(), child[:nodes], count[:nodes]

    def _run(
        self, origins: Float32, directions: Float32, max_distance: Float32, any_hit: bool
    ) -> Hits:
        n = len(origins)
        hits = Hits(np.empty(n, np.int32), *(np.empty(n, np.float32) for _ in range(3)))
        _trace(
            self._corner, self._edge1, self._edge2, self._order, self._box, self._child,
            self._count, origins, directions, max_distance, any_hit, *hits,
        )  # fmt: skip
        return hits

    def first_hit(self, origins: Float32, directions: Float32, max_distance: Float32) -> Hits:
        """See ``Tracer``."""
        return self._run(origins, directions, max_distance, False)

    def occluded(self, origins: Float32, directions: Float32, max_distance: Float32) -> Bool:
        """See ``Tracer``."""
        return np.asarray(self._run(origins, directions, max_distance, True).triangle >= 0)
