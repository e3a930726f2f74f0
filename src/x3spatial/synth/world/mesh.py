"""Triangle meshes built from a few solids; every maker of objects uses only these.

Object frame: metres, z up; the object stands on z = 0 at the origin and its front faces +y. Texture
coordinates are metres along the surface, u along a solid's longer side (the direction of wood grain).
On panels with a surface image they run over [0, 1] from the image's top left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from x3spatial.arrays import Float64, Int32
from x3spatial.synth.world.materials import Material

Vec = tuple[float, float, float]


@dataclass(frozen=True)
class Mesh:
    """Triangles with vertex normals, in the object or the world frame (metres)."""

    vertices: Float64  # [n, 3]
    normals: Float64  # [n, 3] unit
    uv: Float64  # [n, 2]
    faces: Int32  # [m, 3]
    slots: Int32  # [m] index into materials
    materials: tuple[Material, ...]

    @property
    def box(self) -> Float64:
        """Bounding box [2, 3]: least and greatest corner."""
        return np.stack([self.vertices.min(axis=0), self.vertices.max(axis=0)])

    def grounded(self) -> Mesh:
        """Return the mesh clamped to z >= 0; slanted legs reach a little below the floor."""
        vertices = self.vertices.copy()
        vertices[:, 2] = np.maximum(vertices[:, 2], 0.0)
        return replace(self, vertices=vertices)

    def moved(self, yaw: float, offset: Sequence[float] | Float64) -> Mesh:
        """Return the mesh rotated about z by ``yaw`` radians, then translated by ``offset`` [3]."""
        c, s = np.cos(yaw), np.sin(yaw)
        rotation = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
        vertices = self.vertices @ rotation.T + np.asarray(offset)
        normals = self.normals @ rotation.T
        return replace(self, vertices=vertices, normals=normals)


def _rotation(tilt: Vec) -> Float64:
    """Return the rotation matrix [3, 3] about x, then y, then z (radians)."""
    (cx, cy, cz), (sx, sy, sz) = np.cos(tilt), np.sin(tilt)
    x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return np.asarray(z @ y @ x, np.float64)


class Parts:
    """Collects solids into one mesh.

    In every method ``at`` is a position in metres, ``tilt`` a rotation in radians about x, y and z.
    """

    def __init__(self) -> None:
        self._chunks: list[tuple[Float64, Float64, Float64, Int32, int]] = []
        self._slots: dict[Material, int] = {}
        self._count = 0
        self._solids = 0

    def add(
        self,
        vertices: Float64,
        normals: Float64,
        uv: Float64,
        faces: Int32,
        material: Material,
        at: Vec = (0.0, 0.0, 0.0),
        tilt: Vec = (0.0, 0.0, 0.0),
    ) -> None:
        """Add triangles given around their own origin, rotated by ``tilt`` and translated to ``at``."""
        if any(tilt):
            rotation = _rotation(tilt)
            vertices, normals = vertices @ rotation.T, normals @ rotation.T
        slot = self._slots.setdefault(material, len(self._slots))
        # Shift the texture on every part, so that no two boards of a chair look alike.
        if material.image is None:
            uv = uv + np.array([0.37, 0.61]) * len(self._chunks)
        # Offset every solid slightly: of two coplanar faces rounding would decide which is in front.
        nudge = 1.5e-4 * np.sin(
            self._solids * np.array([1.7, 2.3, 2.9]) + np.array([0.0, 1.0, 2.0])
        )
        self._chunks.append(
            (vertices + np.asarray(at) + nudge, normals, uv, faces + self._count, slot)
        )
        self._count += len(vertices)

    def box(
        self,
        size: Vec,
        at: Vec,
        material: Material,
        radius: float = 0.004,
        tilt: Vec = (0.0, 0.0, 0.0),
        steps: int = 1,
    ) -> None:
        """Add a box centred at ``at`` with edges rounded by ``radius`` in ``steps`` segments."""
        self._solids += 1
        half = np.asarray(size) / 2
        radius = min(radius, float(half.min()) * 0.98)
        bevel = np.linspace(-1, 0, steps + 1)
        # Grid lines of a face on [-1, 1]: dense in the rounded borders, none between them.
        line = np.concatenate(
            [np.stack([bevel, 0 * bevel]).T, np.stack([-bevel[::-1], 0 * bevel + 1]).T]
        )
        bend, side = line[:, 0], line[:, 1] * 2 - 1
        n = len(line)
        quads = np.arange((n - 1) * (n - 1))
        corner = (quads // (n - 1)) * n + quads % (n - 1)
        faces = np.concatenate(
            [
                np.stack([corner, corner + 1, corner + n + 1], axis=1),
                np.stack([corner, corner + n + 1, corner + n], axis=1),
            ]
        ).astype(np.int32)
        for axis in range(3):
            a, b = [k for k in range(3) if k != axis]
            for sign in (-1.0, 1.0):
                direction = np.zeros((n, n, 3))
                direction[..., a] = np.tan(bend * np.pi / 4)[None, :]
                direction[..., b] = np.tan(bend * np.pi / 4)[:, None]
                direction[..., axis] = sign
                direction /= np.linalg.norm(direction, axis=-1, keepdims=True)
                inner = np.zeros((n, n, 3))
                inner[..., a] = (side * (half[a] - radius))[None, :]
                inner[..., b] = (side * (half[b] - radius))[:, None]
                inner[..., axis] = sign * (half[axis] - radius)
                points = (inner + radius * direction).reshape(-1, 3)
                u, v = (a, b) if half[a] >= half[b] else (b, a)
                uv = points[:, [u, v]] + half[axis] * sign
                # Keep triangles counter-clockwise seen from outside.
                outward = sign * (1 if (axis, a, b) in ((0, 1, 2), (2, 0, 1)) else -1)
                order = faces if outward > 0 else faces[:, ::-1]
                self.add(points, direction.reshape(-1, 3), uv, order, material, at, tilt)

    def lathe(
        self,
        profile: Sequence[tuple[float, float]],
        at: Vec,
        material: Material,
        segments: int = 28,
        smooth: bool = True,
        tilt: Vec = (0.0, 0.0, 0.0),
    ) -> None:
        """Add a solid of revolution of the polyline ``profile`` (radius, z) about z.

        The outside is on the right of the profile seen upwards.
        """
        self._solids += 1
        points = np.asarray(profile, np.float64)
        moved = np.linalg.norm(np.diff(points, axis=0), axis=1) > 1e-6
        points = points[np.concatenate([[True], moved])]
        step = np.diff(points, axis=0)
        length = np.linalg.norm(step, axis=1)
        flat = np.stack([step[:, 1], -step[:, 0]], axis=1) / length[:, None]
        if smooth:
            # Normals blend over shallow bends only; rims and feet keep sharp edges.
            rows, slopes, along = [], [], []
            s = np.concatenate([[0.0], np.cumsum(length)])
            for i in range(len(step)):
                for end, other in ((i, i - 1), (i + 1, i + 1)):
                    normal = flat[i]
                    if 0 <= other < len(step) and flat[i] @ flat[other] > 0.6:
                        normal = flat[i] + flat[other]
                    rows.append(points[end])
                    slopes.append(normal / np.linalg.norm(normal))
                    along.append(s[end])
        else:
            rows = [points[j] for i in range(len(step)) for j in (i, i + 1)]
            slopes = [flat[i] for i in range(len(step)) for _ in (0, 1)]
            s = np.concatenate([[0.0], np.cumsum(length)])
            along = [s[j] for i in range(len(step)) for j in (i, i + 1)]
        ring = np.linspace(0, 2 * np.pi, segments + 1)
        cos, sin = np.cos(ring), np.sin(ring)
        row, slope = np.array(rows), np.array(slopes)
        vertices = np.stack(
            [row[:, :1] * cos, row[:, :1] * sin, np.repeat(row[:, 1:], segments + 1, 1)], axis=-1
        )
        normals = np.stack(
            [slope[:, :1] * cos, slope[:, :1] * sin, np.repeat(slope[:, 1:], segments + 1, 1)],
            axis=-1,
        )
        reach = float(points[:, 0].max())
        uv = np.stack(np.broadcast_arrays(ring * reach, np.array(along)[:, None]), axis=-1)
        columns = segments + 1
        start = (2 * np.arange(len(step)) * columns)[:, None] + np.arange(segments)[None, :]
        start = start.reshape(-1)
        faces = np.concatenate(
            [
                np.stack([start, start + 1, start + columns + 1], axis=1),
                np.stack([start, start + columns + 1, start + columns], axis=1),
            ]
        ).astype(np.int32)
        self.add(
            vertices.reshape(-1, 3),
            normals.reshape(-1, 3),
            uv.reshape(-1, 2),
            faces,
            material,
            at,
            tilt,
        )

    def cylinder(
        self,
        radius: float,
        height: float,
        at: Vec,
        material: Material,
        segments: int = 20,
        tilt: Vec = (0.0, 0.0, 0.0),
    ) -> None:
        """Add a closed cylinder standing on ``at``."""
        profile = [(0.0, 0.0), (radius, 0.0), (radius, height), (0.0, height)]
        self.lathe(profile, at, material, segments, tilt=tilt)

    def rod(
        self, start: Vec, end: Vec, radius: float, material: Material, segments: int = 8
    ) -> None:
        """Add a closed cylinder between two points."""
        axis = np.asarray(end) - np.asarray(start)
        height = float(np.linalg.norm(axis))
        lean = float(np.arccos(np.clip(axis[2] / height, -1, 1)))
        yaw = float(np.arctan2(axis[1], axis[0]))
        self.cylinder(radius, height, start, material, segments, tilt=(0.0, lean, yaw))

    def ball(
        self, radius: float, at: Vec, material: Material, squash: float = 1.0, segments: int = 32
    ) -> None:
        """Add a sphere centred at ``at``, its height scaled by ``squash``."""
        angle = np.linspace(-np.pi / 2, np.pi / 2, segments // 2 + 1)
        profile = [(radius * np.cos(a), radius * squash * np.sin(a)) for a in angle]
        self.lathe(profile, at, material, segments)

    def pillow(
        self, size: Vec, at: Vec, material: Material, tilt: Vec = (0.0, 0.0, 0.0), steps: int = 14
    ) -> None:
        """Add a cushion of ``size[0]`` x ``size[1]``, ``size[2]`` thick in its middle."""
        self._solids += 1
        line = np.linspace(-1, 1, steps + 1)
        x, y = np.meshgrid(line, line)
        puff = ((1 - x**2) * (1 - y**2)) ** 0.42
        pinch = 1 - 0.07 * (1 - np.abs(x * y)) * (np.maximum(np.abs(x), np.abs(y)) ** 6)
        n = steps + 1
        quads = np.arange(steps * steps)
        corner = (quads // steps) * n + quads % steps
        faces = np.concatenate(
            [
                np.stack([corner, corner + 1, corner + n + 1], axis=1),
                np.stack([corner, corner + n + 1, corner + n], axis=1),
            ]
        ).astype(np.int32)
        for sign in (1.0, -1.0):
            points = np.stack(
                [x * pinch * size[0] / 2, y * pinch * size[1] / 2, sign * puff * size[2] / 2],
                axis=-1,
            )
            down = np.gradient(points, axis=0)
            across = np.gradient(points, axis=1)
            normal = np.cross(across, down) * sign
            normal /= np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-9)
            uv = points[..., :2].reshape(-1, 2)
            order = faces if sign > 0 else faces[:, ::-1]
            self.add(points.reshape(-1, 3), normal.reshape(-1, 3), uv, order, material, at, tilt)

    def panel(
        self, width: float, height: float, at: Vec, material: Material, tilt: Vec = (0.0, 0.0, 0.0)
    ) -> None:
        """Add a rectangle that faces +y before ``tilt``; surface images appear upright on it."""
        self._solids += 1
        x, z = width / 2, height / 2
        # Seen from +y, looking along -y, the image's left is at +x.
        vertices = np.array([[x, 0, z], [-x, 0, z], [-x, 0, -z], [x, 0, -z]], np.float64)
        normals = np.tile([0.0, 1.0, 0.0], (4, 1))
        uv = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float64)
        if material.image is None:
            uv = uv * np.array([width, height])
        faces = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
        self.add(vertices, normals, uv, faces, material, at, tilt)

    def leaf(
        self,
        base: Vec,
        direction: Vec,
        length: float,
        width: float,
        droop: float,
        material: Material,
    ) -> None:
        """Add a pointed, bent leaf that starts at ``base``."""
        self._solids += 1
        forward = np.asarray(direction, np.float64)
        forward = forward / np.linalg.norm(forward)
        aside = np.cross(forward, [0.0, 0.0, 1.0])
        aside /= max(float(np.linalg.norm(aside)), 1e-9)
        t = np.linspace(0, 1, 6)
        spine = forward * (t * length)[:, None]
        spine[:, 2] -= droop * length * t**2
        half = width / 2 * np.sin(np.pi * np.clip(t, 0.04, 1.0) ** 0.8) + 0.001
        fold = np.array([0.0, 0.0, 0.18])
        rows = np.stack(
            [spine - aside * half[:, None] + fold * half[:, None], spine,
             spine + aside * half[:, None] + fold * half[:, None]], axis=1,
        )  # fmt: skip
        tangent = np.gradient(spine, axis=0)
        normal = np.cross(aside, tangent)
        normal /= np.linalg.norm(normal, axis=1, keepdims=True)
        normal *= np.sign(normal[:, 2:3] + 1e-9)
        normals = np.stack([normal - 0.3 * aside, normal, normal + 0.3 * aside], axis=1)
        normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
        uv = np.stack(np.broadcast_arrays((t * length)[:, None], np.array([-width, 0, width])), -1)
        start = (np.arange(5)[:, None] * 3 + np.arange(2)[None, :]).reshape(-1)
        faces = np.concatenate(
            [np.stack([start, start + 1, start + 4], 1), np.stack([start, start + 4, start + 3], 1)]
        ).astype(np.int32)
        self.add(
            rows.reshape(-1, 3), normals.reshape(-1, 3), uv.reshape(-1, 2), faces, material, base
        )

    def mesh(self) -> Mesh:
        """Return the mesh of everything added so far."""
        vertices, normals, uv, faces, slots = zip(*self._chunks, strict=True)
        return Mesh(
            np.concatenate(vertices),
            np.concatenate(normals),
            np.concatenate(uv),
            np.concatenate(faces),
            np.concatenate(
                [np.full(len(f), s, np.int32) for f, s in zip(faces, slots, strict=True)]
            ),
            tuple(self._slots),
        )
