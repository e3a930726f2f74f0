"""Rooms of coloured spheres as posed recordings: every pixel, depth and visibility is known exactly."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from x3spatial.arrays import Float64, Int32, UInt8
from x3spatial.io.files import write_bytes
from x3spatial.io.images import encode_depth_png, encode_png

WIDTH, HEIGHT, FOCAL = 160, 120, 130.0
FLIP = np.diag([1.0, -1.0, -1.0, 1.0])


@dataclass(frozen=True)
class Sphere:
    """One object."""

    id: int
    label: str
    centre: tuple[float, float, float]
    radius: float
    colour: tuple[int, int, int]


SPHERES = (
    Sphere(1, "mug", (0.0, 0.0, 0.6), 0.25, (200, 60, 60)),
    Sphere(2, "box", (1.0, 0.3, 0.6), 0.3, (60, 200, 60)),
    Sphere(3, "lamp", (-1.1, 0.2, 0.7), 0.3, (60, 60, 200)),
    Sphere(300, "mug", (0.1, -1.1, 0.5), 0.3, (200, 200, 60)),
    Sphere(5, "pillar", (0.0, 0.55, 0.7), 0.28, (120, 120, 120)),
)


def look_at(position: Float64, target: Float64) -> Float64:
    """camera_to_world ``[4, 4]`` with OpenCV's axes."""
    forward = (target - position) / np.linalg.norm(target - position)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([right, np.cross(forward, right), forward], axis=1)
    pose[:3, 3] = position
    return pose


def ring(count: int = 16) -> list[Float64]:
    """Cameras around the spheres; every fourth looks away from the middle."""
    poses = []
    for k in range(count):
        angle = 2 * np.pi * k / count
        position = np.array([2.6 * np.cos(angle), 2.6 * np.sin(angle), 1.2 + 0.05 * (k % 3)])
        target = np.array([0.0, 0.0, 0.55])
        if k % 4 == 3:
            target = position + np.array([np.cos(angle + 2), np.sin(angle + 2), -0.2])
        poses.append(look_at(position, target))
    return poses


def shown(pose: Float64, spheres: tuple[Sphere, ...] = SPHERES) -> tuple[Int32, Float64]:
    """Ids ``[H, W]`` and depth in metres ``[H, W]``, both 0 where there is no sphere."""
    x, y = np.meshgrid(np.arange(WIDTH) + 0.5, np.arange(HEIGHT) + 0.5)
    local = np.stack([(x - WIDTH / 2) / FOCAL, (y - HEIGHT / 2) / FOCAL, np.ones_like(x)], axis=-1)
    rays = local @ pose[:3, :3].T
    ids, depth = np.zeros((HEIGHT, WIDTH), np.int32), np.full((HEIGHT, WIDTH), np.inf)
    for sphere in spheres:
        offset = pose[:3, 3] - np.array(sphere.centre)
        a, b = (rays * rays).sum(-1), (rays * offset).sum(-1)
        root = b * b - a * (offset @ offset - sphere.radius**2)
        distance = (-b - np.sqrt(np.maximum(root, 0))) / a
        hit = (root > 0) & (distance > 0.05) & (distance < depth)
        ids[hit], depth[hit] = sphere.id, distance[hit]
    return ids, np.where(np.isfinite(depth), depth, 0)


def picture(ids: Int32, number: int, spheres: tuple[Sphere, ...] = SPHERES) -> UInt8:
    """RGB ``[H, W, 3]``: flat colours on a patterned ground that depends on the camera."""
    rng = np.random.default_rng(number)
    coarse = rng.integers(90, 170, (HEIGHT // 8, WIDTH // 8, 3))
    image = np.kron(coarse, np.ones((8, 8, 1))).astype(np.uint8)
    for sphere in spheres:
        image[ids == sphere.id] = sphere.colour
    return image


def grey_png(values: Int32) -> bytes:
    """A 16-bit grey PNG."""
    return encode_depth_png(values.astype(np.uint16))


def write_spheres(
    folder: Path,
    *,
    poses: list[Float64] | None = None,
    depth: bool = True,
    ids: bool = True,
    matrix: Callable[[Float64], Float64] = lambda pose: pose @ FLIP,
    more: Mapping[str, Any] | None = None,
    spheres: tuple[Sphere, ...] = SPHERES,
) -> Path:
    """Write a scene as ``transforms.json`` with images, id maps, objects.json and depth.

    ``matrix`` makes a frame's ``transform_matrix`` of camera_to_world with OpenCV's axes.
    """
    frames = []
    for number, pose in enumerate(ring() if poses is None else poses):
        seen, distance = shown(pose, spheres)
        name = f"{number:03d}.png"
        write(folder / "images" / name, encode_png(picture(seen, number, spheres)))
        if ids:
            write(folder / "instances" / name, grey_png(seen))
        if depth:
            millimetres = np.round(distance * 1000).astype(np.uint16)
            write(folder / "depth" / name, encode_depth_png(millimetres))
        frames.append({"file_path": f"images/{name}", "transform_matrix": matrix(pose).tolist()})
    camera = {
        "fl_x": FOCAL,
        "fl_y": FOCAL,
        "cx": WIDTH / 2,
        "cy": HEIGHT / 2,
        "w": WIDTH,
        "h": HEIGHT,
    }
    (folder / "transforms.json").write_text(
        json.dumps({"camera_model": "PINHOLE", **camera, "frames": frames, **(more or {})})
    )
    if ids:
        objects = [{"id": sphere.id, "label": sphere.label} for sphere in spheres]
        (folder / "objects.json").write_text(json.dumps({"objects": objects}))
    return folder


def write(path: Path, data: bytes) -> None:
    """Write a file and its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, data)
