"""What a scan of a room holds, whatever the layout of its files, and how it is taken from a planned room."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from x3spatial.arrays import Float32, Float64, Int32, Int64, UInt8, UInt16
from x3spatial.synth.options import SceneOptions
from x3spatial.synth.plan import Plan, downscaled
from x3spatial.synth.rendering.camera import Camera
from x3spatial.synth.rendering.denoise import final_image
from x3spatial.synth.rendering.geometry import Geometry
from x3spatial.synth.rendering.render import World, render
from x3spatial.synth.rendering.styles import apply_style
from x3spatial.synth.sightings import owners
from x3spatial.synth.writer import depth_map

_FLAT = 0.05
"""Metres from the floor or the ceiling up to which a horizontal face belongs to it."""


@dataclass(frozen=True)
class Instance:
    """An annotated part of the mesh; objects keep their uid, the room's parts get the numbers above."""

    id: int
    label: str
    """Unique for possible targets, such as "green chair"."""
    kind: str
    """The class, as annotators write it, such as "chair"."""


@dataclass(frozen=True)
class Mesh:
    """The scanned surface, in the scan's world (metres, z up)."""

    vertices: Float32  # [n, 3]
    faces: Int32  # [m, 3]
    instance: Int32  # [n] id of an instance; 0: not annotated
    colour: UInt8  # [n, 3] RGB


@dataclass(frozen=True)
class Frame:
    """One frame of the path: number, camera, and what it recorded."""

    number: int
    camera: Camera
    image: UInt8  # [H, W, 3] RGB
    owner: Int64  # [H, W] uid of the object at each pixel's centre; 0: the room
    depth: UInt16  # [h, w] millimetres along the camera's z, of the same view with fewer pixels


@dataclass(frozen=True)
class Scan:
    """A scan without its frames' pixels, which ``shoot`` makes one at a time.

    ``to_scan`` [4, 4] maps the room's coordinates to the scan's: a rescan starts at another place.
    ``removed`` are the uids that are no longer in the room.
    """

    name: str
    split: str
    options: SceneOptions
    mesh: Mesh
    instances: tuple[Instance, ...]
    cameras: dict[int, Camera]
    """Frame number → camera, in the scan's world."""
    to_scan: Float64
    removed: tuple[int, ...]
    world: World
    exposure: float

    @property
    def first(self) -> Camera:
        """A camera; all have the same intrinsics."""
        return next(iter(self.cameras.values()))

    def depth_size(self, width: int) -> tuple[int, int]:
        """Width and height of depth maps of at most ``width`` pixels a row."""
        small = downscaled(self.first, min(width, self.first.width))
        return small.width, small.height


def take_scan(
    name: str,
    split: str,
    options: SceneOptions,
    plan: Plan,
    cameras: dict[int, Camera],
    *,
    removed: Sequence[int] = (),
    to_scan: Float64 | None = None,
) -> Scan:
    """Scan a planned room.

    Args:
        name: the scan's name in its layout.
        split: folder name of its split.
        options: of the room's images.
        plan: the room.
        cameras: frame number → camera, in the room's world.
        removed: uids that are taken out of the room first.
        to_scan: ``[4, 4]`` rigid; None: the scan's world is the room's.
    """
    world = plan.world
    for uid in removed:
        world = world.without(uid)
    move = np.eye(4) if to_scan is None else to_scan
    mesh, parts = _mesh(world.geometry, plan.layout.room.height, move)
    there = set(np.unique(mesh.instance).tolist())
    objects = (
        Instance(item.uid, item.label, item.kind.noun)
        for item in plan.layout.objects
        if item.uid in there
    )
    return Scan(
        name=name,
        split=split,
        options=options,
        mesh=mesh,
        instances=(*objects, *(part for part in parts if part.id in there)),
        cameras={number: moved(camera, move) for number, camera in cameras.items()},
        to_scan=move,
        removed=tuple(removed),
        world=world,
        exposure=plan.exposure,
    )


def moved(camera: Camera, move: Float64) -> Camera:
    """The camera in another world, into which ``move`` [4, 4] maps."""
    rotation, offset = move[:3, :3], move[:3, 3]
    return replace(
        camera,
        position=rotation @ camera.position + offset,
        rotation=camera.rotation @ rotation.T,
    )


def shoot(scan: Scan, depth_width: int) -> Iterator[Frame]:
    """The frames of a scan, one after another; memory does not grow with their number."""
    side = scan.options.side
    back = np.asarray(np.linalg.inv(scan.to_scan), np.float64)
    for number, camera in scan.cameras.items():
        # Rendered where the room was planned, so that its own cameras give the data root's bytes.
        inside = camera if np.array_equal(back, np.eye(4)) else moved(camera, back)
        gbuffer = render(scan.world, inside, side)
        image = final_image(gbuffer, camera.height, camera.width, side, scan.exposure)
        small = downscaled(inside, min(depth_width, camera.width))
        yield Frame(
            number,
            camera,
            apply_style(image, scan.options.style),
            owners(scan.world.geometry, inside),
            depth_map(scan.world.geometry, small),
        )


def _mesh(geometry: Geometry, ceiling: float, move: Float64) -> tuple[Mesh, list[Instance]]:
    """The mesh with the room's surfaces as instances of their own, after those of the objects."""
    parts = [
        Instance(geometry.objects + 1 + number, label, label)
        for number, label in enumerate(("floor", "ceiling", "wall"))
    ]
    height = geometry.vertices[geometry.faces, 2].mean(axis=1)
    level = np.abs(geometry.face_normal[2]) > 0.9
    of_room = np.select(
        [level & (height < _FLAT), level & (height > ceiling - _FLAT)],
        [parts[0].id, parts[1].id],
        parts[2].id,
    )
    owner = geometry.owner.astype(np.int32)
    of_face = np.where(owner > 0, owner, of_room).astype(np.int32)
    used, corners = np.unique(geometry.faces, return_inverse=True)
    faces = corners.reshape(-1, 3).astype(np.int32)
    instance = np.zeros(len(used), np.int32)
    colour = np.zeros((len(used), 3), np.uint8)
    tone = np.clip(255 * geometry.table.mean[geometry.material] ** (1 / 2.2), 0, 255)
    for corner in range(3):  # faces of two objects never share a vertex
        instance[faces[:, corner]] = of_face
        colour[faces[:, corner]] = tone.astype(np.uint8)
    vertices = geometry.vertices[used]
    if not np.array_equal(move, np.eye(4)):
        vertices = (vertices.astype(np.float64) @ move[:3, :3].T + move[:3, 3]).astype(np.float32)
    return Mesh(np.ascontiguousarray(vertices), faces, instance, colour), parts
