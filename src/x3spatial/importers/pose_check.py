"""Notices poses in another convention, and lengths in another unit, before a wrong root is written.

Depth and masks of two frames agree only if the poses are right: a point of an object in one frame must lie on
the same object in the other. The same is tried with the poses read in every other convention. Without depth,
the centres of an object's masks must meet in one point before the cameras.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from x3spatial.arrays import Bool, Float32, Float64
from x3spatial.importers.camera import Camera
from x3spatial.importers.surfaces import (
    LEAST_VIEWS,
    depth_at,
    mask_centre,
    surface_points,
    triangulate,
)
from x3spatial.importers.transforms import FLIP

FRAMES = 14
"""Frames that are looked at, evenly spaced."""
_POINTS = 24
"""Points per object and pair of frames."""
_LEAST_TESTS = 40
"""Points (with depth) below which nothing is concluded; of directions a quarter."""
_CLEAR = 2.0
"""How many times better another convention must fit to be named."""
_FITS, _FITS_NOT = 0.2, 0.1
"""Share of points that must agree for a convention to be named, and below which poses fit nothing."""
_FITS_WELL = 0.4
"""Share from which no other convention is tried."""
_NEAR = 0.1
"""Relative difference of two depths of one surface."""
_FAR = 60.0
"""Median depth or spread of cameras in metres beyond which a room is not in metres."""


@dataclass(frozen=True)
class Look:
    """One frame: its camera, masks ``[H, W]`` of the camera's size by object, and depth in metres."""

    camera: Camera
    masks: Mapping[str, Bool]
    depth: Float32 | None


def _same(pose: Float64) -> Float64:
    return pose


def _flipped(pose: Float64) -> Float64:
    return pose @ FLIP


def _inverted(axes: str) -> Callable[[Float64], Float64]:
    """The matrix as it was read, inverted, with the same camera axes."""

    def of(pose: Float64) -> Float64:
        read = pose @ FLIP if axes == "opengl" else pose
        inverse = np.linalg.inv(read)
        return np.asarray(inverse @ FLIP if axes == "opengl" else inverse)

    return of


def _scaled(factor: float) -> Callable[[Float64], Float64]:
    def of(pose: Float64) -> Float64:
        pose = pose.copy()
        pose[:3, 3] *= factor
        return pose

    return of


def find_fault(looks: Sequence[Look], *, poses: str, axes: str, metric: bool) -> str | None:
    """What is wrong with a scene's poses, and the option that mends it; None: nothing was noticed.

    Args:
        looks: some frames of the scene.
        poses: how the matrices were read: camera-to-world or world-to-camera.
        axes: how the cameras' axes were read: opencv or opengl.
        metric: whether lengths shall be metres.
    """
    chosen = [looks[k] for k in np.unique(np.linspace(0, len(looks) - 1, FRAMES).astype(int))]
    other_axes = "opencv" if axes == "opengl" else "opengl"
    other_poses = "world-to-camera" if poses == "camera-to-world" else "camera-to-world"
    inverted, other_inverted = _inverted(axes), _inverted(other_axes)
    readings: dict[str, Callable[[Float64], Float64]] = {
        "": _same,
        f"the cameras have {other_axes} axes; add --axes {other_axes}": _flipped,
        f"the matrices are {other_poses}; add --poses {other_poses}": inverted,
        f"the matrices are {other_poses} with {other_axes} axes; add --poses {other_poses}"
        f" --axes {other_axes}": lambda pose: other_inverted(_flipped(pose)),
    }
    with_depth = [look for look in chosen if look.depth is not None]
    if metric and len(with_depth) >= 2:
        readings |= {_unit(with_depth, power): _scaled(power) for power in (0.001, 1000.0)}
    score = _score_by_depth if len(with_depth) >= 2 else _score_by_centres
    used = with_depth if len(with_depth) >= 2 else chosen
    least = _LEAST_TESTS if len(with_depth) >= 2 else _LEAST_TESTS // 4
    given, tests = score(used, readings[""])
    if tests < least or given > _FITS_WELL:
        return _distance(chosen) if metric else None
    found = {name: score(used, reading)[0] for name, reading in readings.items()}
    best = max(found, key=lambda name: found[name])
    share = found[best]
    what = "points of objects" if len(with_depth) >= 2 else "masks"
    if best and share >= _FITS and share > _CLEAR * given:
        return f"{best} ({share:.0%} of {what} agree between frames that way, {given:.0%} as read)"
    if share < _FITS_NOT:
        return (
            f"its poses do not fit the {'depth and ' if len(with_depth) >= 2 else ''}masks in any"
            f" convention (at most {share:.0%} of {what} agree between frames); check that poses,"
            " images and masks belong together, and --scale"
        )
    return _distance(chosen) if metric else None


def _unit(looks: Sequence[Look], power: float) -> str:
    """Poses and depth differ by a factor of 1,000: which of the two is not in metres."""
    median = float(np.median(np.concatenate([_known(look.depth) for look in looks])))
    if 0.1 < median < _FAR:
        wanted = f"--scale {power:g}"
        return f"the positions are in {'milli' if power < 1 else 'kilo'}metres; add {wanted}"
    size = "large" if power > 1 else "small"
    return (
        f"the depth is 1,000 times too {size} for the poses (median {median:g} m); correct"
        " --depth-scale"
    )


def _known(depth: Float32 | None) -> Float32:
    assert depth is not None
    return depth[depth > 0]


def _distance(looks: Sequence[Look]) -> str | None:
    """Whether a room is impossibly large."""
    positions = np.stack([look.camera.position for look in looks])
    spread = float(np.linalg.norm(positions.max(axis=0) - positions.min(axis=0)))
    if spread > _FAR:
        return (
            f"the cameras are {spread:,.0f} m apart, so lengths are not metres; add --scale 0.001 if"
            " they are millimetres"
        )
    return None


def _score_by_depth(
    looks: Sequence[Look], reading: Callable[[Float64], Float64]
) -> tuple[float, int]:
    """Share of points of objects that other frames show at the same place, and their number."""
    cameras = [replace(k.camera, camera_to_world=reading(k.camera.camera_to_world)) for k in looks]
    agree = tests = 0
    for i, here in enumerate(looks):
        assert here.depth is not None
        for uid, mask in here.masks.items():
            points = surface_points(mask, here.depth, cameras[i], _POINTS)
            for j, there in enumerate(looks):
                if i == j or uid not in there.masks or not len(points):
                    continue
                assert there.depth is not None
                flat, z = cameras[j].project(points)
                inside = cameras[j].inside(flat, z)
                x, y = flat[inside].T
                seen = depth_at(there.depth, (cameras[j].width, cameras[j].height), x, y)
                same = there.masks[uid][y.astype(np.intp), x.astype(np.intp)]
                same &= np.abs(seen - z[inside]) < _NEAR * z[inside]
                agree += int(same.sum())
                tests += len(points)
    return agree / max(tests, 1), tests


def _score_by_centres(
    looks: Sequence[Look], reading: Callable[[Float64], Float64]
) -> tuple[float, int]:
    """Share of masks on which the point falls that their centres in all frames meet in, and their number."""
    cameras = [replace(k.camera, camera_to_world=reading(k.camera.camera_to_world)) for k in looks]
    agree = tests = 0
    for uid in dict.fromkeys(uid for look in looks for uid in look.masks):
        shown = [i for i, look in enumerate(looks) if uid in look.masks]
        if len(shown) < LEAST_VIEWS:
            continue
        centres = [mask_centre(looks[i].masks[uid]) for i in shown]
        point = triangulate([cameras[i] for i in shown], centres)
        if point is None:
            continue
        for i, (x, y) in zip(shown, centres, strict=True):
            flat, z = cameras[i].project(point[None])
            reach = np.sqrt(looks[i].masks[uid].sum())
            off = float(np.hypot(flat[0, 0] - x, flat[0, 1] - y))
            agree += bool(z[0] > 0 and off < reach)
            tests += 1
    return agree / max(tests, 1), tests
