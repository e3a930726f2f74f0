"""Rays at a labelled mesh: the object of a face, outlines, windows, and depth on another camera's grid."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from x3spatial.arrays import Float64
from x3spatial.importers.camera import Camera
from x3spatial.importers.mesh_cast import LabelledMesh, MeshCaster, face_values
from x3spatial.importers.meshes import Annotated
from x3spatial.importers.scan_files import aligned_depth, label_vertices

CUBE = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], np.float32) - 0.5
SIDES = np.array(
    [[0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1],
     [2, 3, 7], [2, 7, 6], [0, 2, 6], [0, 6, 4], [1, 5, 7], [1, 7, 3]], np.int32,
)  # fmt: skip


def camera(position: Float64, target: Float64, size: tuple[int, int] = (48, 36)) -> Camera:
    forward = (target - position) / np.linalg.norm(target - position)
    right = np.cross(forward, [0.01, 0.02, 1.0])
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([right, np.cross(forward, right), forward], axis=1)
    pose[:3, 3] = position
    return Camera(*size, 40.0, 42.0, size[0] / 2 + 1.5, size[1] / 2 - 2, pose)


def two_cubes() -> MeshCaster:
    """Object 1 at the origin, and object 2, twice as wide, at (3, 0, 0)."""
    wide = CUBE * np.float32(2) + np.array([3, 0, 0], np.float32)
    mesh = LabelledMesh(
        np.concatenate([CUBE, wide]),
        np.concatenate([SIDES, SIDES + 8]),
        np.repeat(np.array([1, 2], np.int32), 12),
    )
    return MeshCaster(mesh, "embree")


@given(st.integers(0, 2**32 - 1))
def test_a_face_belongs_to_most_of_its_vertices(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels, faces = rng.integers(0, 4, 30), rng.integers(0, 30, (50, 3)).astype(np.int32)
    for face, value in zip(faces, face_values(labels, faces), strict=True):
        a, b, c = labels[face].tolist()
        counts = {k: [a, b, c].count(k) for k in (a, b, c)}
        assert value == (max(counts, key=lambda k: counts[k]) if max(counts.values()) > 1 else a)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1))
@example(884130)  # a face that fills the view, with one corner before the camera
def test_windows_hold_all_that_is_seen(seed: int) -> None:
    """From anywhere, also from inside: no ray outside of an object's window would hit it."""
    rng = np.random.default_rng(seed)
    caster = two_cubes()
    view = camera(rng.uniform(-3, 6, 3), rng.uniform(-2, 4, 3))
    ids, depth = caster.pixels(view)
    for value in (1, 2):
        alone = MeshCaster(replace(caster.mesh, faces=caster.faces_of(value),
                                   value=np.full(12, value, np.int32)), "embree")  # fmt: skip
        brute = int((alone.pixels(view)[0] == value).sum())
        outline = caster.outline(value, view)
        if outline.step == 1:
            assert outline.inside == brute
        assert caster.in_frame(value, view) or brute == 0
        assert outline.total >= outline.inside
        shown = bool((ids == value).any())
        assert caster.hit_between_centres(value, view, outline) >= (shown and brute > 4)
    rows, columns = np.nonzero(ids)
    if len(rows):
        z = depth[rows, columns].astype(np.float64)
        points = view.unproject(
            (columns + 0.5).astype(np.float64), (rows + 0.5).astype(np.float64), z
        )
        middle = np.where((ids[rows, columns] == 2)[:, None], [3.0, 0, 0], 0.0)
        half = np.where(ids[rows, columns] == 2, 1.0, 0.5)
        assert np.abs(np.abs(points - middle).max(axis=1) - half).max() < 1e-4


def test_an_object_between_the_pixels_centres() -> None:
    """A sliver that no centre's ray hits is still seen: such a view proves no absence."""
    view = camera(np.array([-4.0, 0, 0]), np.zeros(3), (48, 36))
    x, y = 20.25, 17.6
    corner = view.unproject(np.array([x, x + 0.1, x]), np.array([y, y, y + 0.3]), np.full(3, 3.0))
    mesh = LabelledMesh(
        np.concatenate([CUBE, corner.astype(np.float32)]),
        np.concatenate([SIDES, np.array([[8, 9, 10]], np.int32)]),
        np.array([1] * 12 + [2], np.int32),
    )
    caster = MeshCaster(mesh, "embree")
    assert not (caster.pixels(view)[0] == 2).any()
    assert caster.hit_between_centres(2, view, caster.outline(2, view))


def test_distortion_bends_the_rays() -> None:
    straight = camera(np.array([-1.3, 0, 0]), np.zeros(3), (96, 72))
    bent = replace(straight, distortion=(-0.3, 0.05, 0.01, 0.0))
    caster = two_cubes()
    ids, _ = caster.pixels(bent)
    assert not np.array_equal(ids, caster.pixels(straight)[0])
    points = np.random.default_rng(1).uniform(-0.5, 0.5, (20000, 3))
    points[np.arange(20000), np.arange(20000) % 3] = np.where(points[:, 0] > 0.1, 0.5, -0.5)
    flat, z = bent.project(points)  # of the surface
    rows, columns = np.nonzero(ids)
    assert z.min() > 0
    assert abs(columns.min() - flat[:, 0].min()) < 1.5 and abs(rows.max() - flat[:, 1].max()) < 1.5


def test_depth_of_a_camera_with_another_field_of_view() -> None:
    depth = np.arange(12, dtype=np.float32).reshape(3, 4) + 1
    wide = np.array([[2.0, 0, 2], [0, 2, 1.5], [0, 0, 1]])
    colour = np.array([[8.0, 0, 4], [0, 8, 3], [0, 0, 1]])  # half of the field of view
    found = aligned_depth(depth, wide, colour, (8, 6))
    assert found.tolist() == [[6, 6, 7, 7], [6, 6, 7, 7], [10, 10, 11, 11]]
    same = aligned_depth(depth, wide, wide, (4, 3))
    assert np.array_equal(same, depth)
    narrow = aligned_depth(depth, colour, wide, (4, 3))
    assert (narrow == 0).any()  # where the depth camera does not look


def test_segments_are_resolved_and_the_smaller_object_wins() -> None:
    segments = np.array([7, 7, 7, 40, 40, 3, 3, 9])
    groups = [
        (Annotated(5, "bed"), np.array([7, 40, 12345])),
        (Annotated(0, "pillow"), np.array([40])),
        (Annotated(6, "lamp"), np.array([3])),
    ]
    assert label_vertices(segments, groups).tolist() == [5, 5, 5, 0, 0, 6, 6, -1]
