"""The triangles of a scene in flat arrays, and ray tracers over them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from x3spatial.arrays import Bool, Float32, Float64, Int16, Int32
from x3spatial.raycast.tracer import Tracer, make_tracer
from x3spatial.synth.world.layout import Layout
from x3spatial.synth.world.materials import Material, MaterialTable, tabulate


@dataclass
class Geometry:
    """Triangles in the world frame; ``owner`` is the object's uid, 0 for the room."""

    vertices: Float32  # [n, 3] world, metres
    faces: Int32  # [m, 3]
    owner: Int16  # [m]
    material: Int32  # [m]
    face_normal: Float32  # [3, m] geometric unit normal
    normals: Float32  # [3, 3, m] unit vertex normals: corner, axis, triangle
    uv: Float32  # [3, 2, m] texture coordinates: corner, axis, triangle
    table: MaterialTable
    objects: int  # uids run from 1 to this
    backend: str
    _tracer: Tracer | None = field(default=None, repr=False)
    _alone: dict[int, Geometry] = field(default_factory=dict, repr=False)

    @property
    def tracer(self) -> Tracer:
        """Tracer over all triangles, built on first use."""
        if self._tracer is None:
            self._tracer = make_tracer(self.vertices, self.faces, self.backend)
        return self._tracer

    def subset(self, keep: Bool) -> Geometry:
        """Return the triangles selected by ``keep`` [m]; uids and material numbers stay the same."""
        return Geometry(
            self.vertices, np.ascontiguousarray(self.faces[keep]), self.owner[keep],
            self.material[keep], self.face_normal[:, keep], self.normals[..., keep], self.uv[..., keep],
            self.table, self.objects, self.backend,
        )  # fmt: skip

    def without(self, uid: int) -> Geometry:
        """Return the geometry without one object."""
        return self.subset(self.owner != uid)

    def only(self, uid: int) -> Geometry:
        """Return the geometry of one object alone (cached)."""
        if uid not in self._alone:
            self._alone[uid] = self.subset(self.owner == uid)
        return self._alone[uid]

    def vertices_of(self, uid: int) -> Float64:
        """Return an object's vertices [k, 3] in the world."""
        return self.vertices[np.unique(self.only(uid).faces)].astype(np.float64)

    def surface_points(self, uid: int, count: int, rng: np.random.Generator) -> Float64:
        """Draw points [count, 3] uniformly on an object's surface, offset 1 mm along the normal."""
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
    """Return float32 with the first axis (triangles) moved to the end."""
    return np.ascontiguousarray(np.moveaxis(values, 0, -1), np.float32)


def assemble(layout: Layout, backend: str) -> Geometry:
    """Create the geometry of a room and its objects for a tracer backend (``tracer.BACKENDS``)."""
    meshes = [layout.room.mesh, *(item.mesh for item in layout.objects)]
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
    face_normal = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
    size = np.linalg.norm(face_normal, axis=1, keepdims=True)
    solid = size[:, 0] > 1e-12  # poles of lathed solids have triangles of zero area
    face_normal = face_normal / np.maximum(size, 1e-12)
    whole = Geometry(
        points, triangles, np.concatenate(owner), np.concatenate(material),
        _columns(face_normal), _columns(np.concatenate(normals)), _columns(np.concatenate(uv)),
        tabulate(list(slots)), len(layout.objects), backend,
    )  # fmt: skip
    return whole.subset(solid)
