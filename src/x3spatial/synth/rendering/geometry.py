"""All triangles of a scene in flat arrays, with the tracers over them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from x3spatial.arrays import Bool, Float32, Float64, Int16, Int32
from x3spatial.raycast.tracer import Tracer, make_tracer
from x3spatial.synth.world.layout import Layout
from x3spatial.synth.world.materials import Material, MaterialTable, tabulate


@dataclass
class Geometry:
    """Triangles, grouped by object; ``owner`` is 0 for the room, else the object's uid."""

    vertices: Float32  # [n, 3] world
    faces: Int32  # [m, 3]
    owner: Int16  # [m]
    material: Int32  # [m]
    facing: Float32  # [3, m] geometric unit normal
    normals: Float32  # [3, 3, m] corner, axis, triangle: unit normals
    uv: Float32  # [3, 2, m] corner, axis, triangle
    table: MaterialTable
    objects: int  # uids run from 1 to this
    backend: str
    _tracer: Tracer | None = field(default=None, repr=False)
    _alone: dict[int, Geometry] = field(default_factory=dict, repr=False)

    @property
    def tracer(self) -> Tracer:
        """Over every triangle."""
        if self._tracer is None:
            self._tracer = make_tracer(self.vertices, self.faces, self.backend)
        return self._tracer

    def subset(self, keep: Bool) -> Geometry:
        """Only the triangles where ``keep [m]``; the numbers of objects and materials stay."""
        return Geometry(
            self.vertices, np.ascontiguousarray(self.faces[keep]), self.owner[keep],
            self.material[keep], self.facing[:, keep], self.normals[..., keep], self.uv[..., keep],
            self.table, self.objects, self.backend,
        )  # fmt: skip

    def without(self, uid: int) -> Geometry:
        """The scene with one object taken away."""
        return self.subset(self.owner != uid)

    def only(self, uid: int) -> Geometry:
        """One object, floating in nothing."""
        if uid not in self._alone:
            self._alone[uid] = self.subset(self.owner == uid)
        return self._alone[uid]

    def points_of(self, uid: int) -> Float64:
        """An object's vertices ``[k, 3]``."""
        return self.vertices[np.unique(self.only(uid).faces)].astype(np.float64)

    def surface_points(self, uid: int, count: int, rng: np.random.Generator) -> Float64:
        """``[count, 3]`` points spread evenly over an object's surface, lifted 1 mm off it."""
        mine = np.flatnonzero(self.owner == uid)
        corners = self.vertices[self.faces[mine]].astype(np.float64)
        cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        area = np.linalg.norm(cross, axis=1)
        which = rng.choice(len(mine), size=count, p=area / area.sum())
        a, b = rng.random((2, count, 1))
        flip = a + b > 1
        a, b = np.where(flip, 1 - a, a), np.where(flip, 1 - b, b)
        c = corners[which]
        points = c[:, 0] * (1 - a - b) + c[:, 1] * a + c[:, 2] * b
        lift = cross[which] / np.maximum(area[which, None], 1e-12)
        return np.asarray(points + 0.001 * lift, np.float64)


def _columns(values: Float64) -> Float32:
    """Float32 with the first axis, the triangles, moved to the end."""
    return np.ascontiguousarray(np.moveaxis(values, 0, -1), np.float32)


def assemble(layout: Layout, backend: str) -> Geometry:
    """One ``Geometry`` of a room and everything in it."""
    meshes = [layout.room.mesh, *(thing.mesh for thing in layout.things)]
    slots: dict[Material, int] = {}
    vertices, faces, owner, material, normals, uv = [], [], [], [], [], []
    count = 0
    for uid, mesh in enumerate(meshes):
        local = np.array([slots.setdefault(m, len(slots)) for m in mesh.materials], np.int32)
        vertices.append(mesh.vertices)
        faces.append(mesh.faces + count)
        owner.append(np.full(len(mesh.faces), uid, np.int16))
        material.append(local[mesh.slots])
        normals.append(mesh.normals[mesh.faces])
        uv.append(mesh.uv[mesh.faces])
        count += len(mesh.vertices)
    points = np.concatenate(vertices).astype(np.float32)
    triangles = np.concatenate(faces).astype(np.int32)
    corner = points[triangles].astype(np.float64)
    facing = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
    size = np.linalg.norm(facing, axis=1, keepdims=True)
    solid = size[:, 0] > 1e-12  # poles of turned parts have triangles without area
    facing = facing / np.maximum(size, 1e-12)
    whole = Geometry(
        points, triangles, np.concatenate(owner), np.concatenate(material),
        _columns(facing), _columns(np.concatenate(normals)), _columns(np.concatenate(uv)),
        tabulate(list(slots)), len(layout.things), backend,
    )  # fmt: skip
    return whole.subset(solid)
