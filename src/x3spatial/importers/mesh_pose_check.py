"""Notices poses in another convention, and lengths in another unit, by the mesh that the cameras look at.

The depth of a frame must be that of the mesh from its pose. If it is not, the same is tried with the poses
read in every other way, and the way that fits is named. Without depth only cameras outside of the mesh are
noticed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from x3spatial.arrays import Float32, Float64
from x3spatial.importers.camera import Camera
from x3spatial.importers.mesh_cast import MeshCaster
from x3spatial.importers.options import ReadOptions
from x3spatial.importers.scene import Frame
from x3spatial.importers.surfaces import depth_grid, evenly
from x3spatial.importers.transforms import FLIP
from x3spatial.io.images import ImageError

_FRAMES = 9
"""Frames that are looked at, evenly spaced."""
_WIDTH = 80
"""Pixels a row of what is cast."""
_FITS, _FITS_NOT = 0.5, 0.2
"""Share of the pixels that must agree for poses to be right, and below which they fit nothing."""
_NEAR = 0.1
"""Relative difference of two depths of one surface."""
_CLEAR = 2.0
"""How many times better another reading must fit to be named."""
_BEYOND = 2.0
"""Metres around the mesh in which cameras may be."""

_Reading = Callable[[Float64], Float64]


def find_fault(
    caster: MeshCaster, frames: Sequence[Frame], options: ReadOptions, axes: str
) -> str | None:
    """What is wrong with a scene's poses, and the option that mends it; None: nothing was noticed.

    Args:
        caster: of the mesh.
        frames: of the scene, with cameras.
        options: how the scene was read.
        axes: how the cameras' axes were read: opencv or opengl.
    """
    looks = list[tuple[Camera, Float32]]()
    for frame in (frames[int(k)] for k in evenly(len(frames), _FRAMES)):
        assert frame.camera is not None
        if frame.depth is not None:
            try:
                looks.append((_small(frame.camera), frame.depth()))
            except ImageError:
                continue  # a problem of the frame
    readings = _readings(options, axes)
    if not looks:
        return _outside(caster, [f.camera for f in frames if f.camera is not None], readings)
    given = _agreeing(caster, looks, readings[""])
    if given >= _FITS:
        return None
    found = {name: _agreeing(caster, looks, reading) for name, reading in readings.items()}
    for factor, unit in ((0.001, "millimetres"), (1000.0, "kilometres")):
        scaled = [(camera, depth * np.float32(factor)) for camera, depth in looks]
        name = f"the depth is in {unit}; add --depth-scale {(options.depth_scale or 1) * factor:g}"
        found[name] = _agreeing(caster, scaled, readings[""])
    best = max(found, key=lambda name: found[name])
    if best and found[best] >= _FITS and found[best] > _CLEAR * given:
        return (
            f"{best} (mesh and depth agree in {found[best]:.0%} of the pixels that way,"
            f" in {given:.0%} as read)"
        )
    if given < _FITS_NOT:
        return (
            f"mesh and depth agree in {given:.0%} of the pixels, and poses in another convention do not"
            " fit better; check that mesh and frames belong together, and --depth-scale"
        )
    return None


def _readings(options: ReadOptions, axes: str) -> dict[str, _Reading]:
    """What is to be said of a reading → the poses in that reading, of those as they were read."""
    other_axes = "opencv" if axes == "opengl" else "opengl"
    inverse = options.poses == "camera-to-world"
    other_poses = "world-to-camera" if inverse else "camera-to-world"
    fix = FLIP if axes == "opengl" else np.eye(4)
    other = np.eye(4) if axes == "opengl" else FLIP

    def inverted(pose: Float64, after: Float64) -> Float64:
        return np.asarray(np.linalg.inv(pose @ fix) @ after, np.float64)

    def scaled(factor: float) -> _Reading:
        return lambda pose: np.block(
            [[pose[:3, :3], factor * pose[:3, 3:]], [np.zeros((1, 3)), np.ones((1, 1))]]
        )

    scale = options.scale or 1.0
    return {
        "": lambda pose: pose,
        f"the cameras have {other_axes} axes; add --axes {other_axes}": lambda pose: pose @ FLIP,
        f"the matrices are {other_poses}; add --poses {other_poses}": lambda p: inverted(p, fix),
        f"the matrices are {other_poses} with {other_axes} axes; add --poses {other_poses}"
        f" --axes {other_axes}": lambda pose: inverted(pose, other),
        f"the positions are in millimetres; add --scale {0.001 * scale:g}": scaled(0.001),
        f"the positions are in kilometres; add --scale {1000 * scale:g}": scaled(1000.0),
    }


def _small(camera: Camera) -> Camera:
    width = min(_WIDTH, camera.width)
    return camera.at_size(width, max(1, round(camera.height * width / camera.width)))


def _agreeing(
    caster: MeshCaster, looks: Sequence[tuple[Camera, Float32]], reading: _Reading
) -> float:
    """Median over the frames of the share of pixels in which mesh and depth agree."""
    shares = []
    for camera, depth in looks:
        posed = replace(camera, camera_to_world=reading(camera.camera_to_world))
        _, cast = caster.pixels(posed)
        measured = depth_grid(depth, (camera.width, camera.height))
        # Relative, because in a wrong unit all lengths may be small; where a ray hits no mesh, they disagree.
        same = (measured > 0) & (np.abs(cast - measured) <= _NEAR * measured)
        shares.append(float(same.sum()) / max(1, int((measured > 0).sum())))
    return float(np.median(shares))


def _outside(
    caster: MeshCaster, cameras: Sequence[Camera], readings: dict[str, _Reading]
) -> str | None:
    """Whether most cameras are outside of the mesh, and in which reading they are not."""
    low = caster.mesh.vertices.min(axis=0) - _BEYOND
    high = caster.mesh.vertices.max(axis=0) + _BEYOND

    def share(reading: _Reading) -> float:
        places = np.stack([reading(camera.camera_to_world)[:3, 3] for camera in cameras])
        return float(((places > low) & (places < high)).all(axis=1).mean())

    if share(readings[""]) >= _FITS:
        return None
    best = max(readings, key=lambda name: share(readings[name]))
    if share(readings[best]) >= _FITS:
        return f"most cameras are outside of the mesh; if so, {best}"
    return "most cameras are outside of the mesh; check that mesh and frames belong together, and --scale"
