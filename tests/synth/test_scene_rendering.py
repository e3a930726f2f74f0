"""Counterfactuals equal full renders, masks equal an independent render, views are consistent."""

import numpy as np
import pytest

from x3spatial.roots.writer import dilate, margin_of
from x3spatial.synth.options import SceneOptions
from x3spatial.synth.plan import make_plan
from x3spatial.synth.rendering.counterfactual import remove
from x3spatial.synth.rendering.denoise import final_image
from x3spatial.synth.rendering.render import render
from x3spatial.synth.viewpoints import MAX_ANGLE, MIN_ANGLE, size_limits
from x3spatial.synth.visibility import hit_by_any_sample
from x3spatial.synth.writer import depth_map

WIDTH, HEIGHT = 96, 72


def options(**changes):
    settings = {
        "objects": 4, "views": 5, "width": WIDTH, "height": HEIGHT, "samples": 4, "seed": 3,
        "depth": False, "tracer": "embree",
    }  # fmt: skip
    return SceneOptions(**{**settings, **changes})


@pytest.fixture(scope="module")
def plans():
    return [make_plan("validation", index, options()) for index in range(5)]


def views_of(plans):
    for plan in plans:
        for choice in plan.choices:
            for view in choice.views:
                yield plan, choice.uid, plan.cameras[view.camera], view


@pytest.mark.parametrize("side", [1, 2])
def test_counterfactual_equals_a_full_render(plans, side):
    compared = changed = 0
    for plan in plans[:2]:
        rests = {choice.uid: plan.world.without(choice.uid) for choice in plan.choices}
        for number in list(plan.cameras)[:5]:
            camera = plan.cameras[number]
            gbuffer = render(plan.world, camera, side)
            original = final_image(gbuffer, HEIGHT, WIDTH, side, plan.exposure)
            for uid, rest in rests.items():
                quick = remove(gbuffer, original, uid, rest, camera, side, plan.exposure)
                full = final_image(render(rest, camera, side), HEIGHT, WIDTH, side, plan.exposure)
                assert np.array_equal(quick, full)
                compared += 1
                changed += bool((quick != original).any())
    assert compared == 40 and changed > 20


def test_counterfactual_leaves_the_original_alone(plans):
    plan = plans[0]
    uid, view = plan.choices[0].uid, plan.choices[0].views[0]
    camera = plan.cameras[view.camera]
    gbuffer = render(plan.world, camera, 2)
    original = final_image(gbuffer, HEIGHT, WIDTH, 2, plan.exposure)
    light, kept = gbuffer.light.copy(), original.copy()
    remove(gbuffer, original, uid, plan.world.without(uid), camera, 2, plan.exposure)
    assert np.array_equal(gbuffer.light, light) and np.array_equal(original, kept)


def owners(geometry, camera):
    """Uid and depth at every pixel centre, from independently computed rays in double precision."""
    x, y = np.meshgrid(np.arange(camera.width) + 0.5, np.arange(camera.height) + 0.5)
    pose = camera.pose()
    local = np.stack(
        [(x - camera.width / 2) / camera.focal, (y - camera.height / 2) / camera.focal, x * 0 + 1], -1
    ).reshape(-1, 3)  # fmt: skip
    rays = local @ pose[:3, :3].T
    origins = np.tile(pose[:3, 3], (len(rays), 1)).astype(np.float32)
    hits = geometry.tracer.first_hit(
        origins, rays.astype(np.float32), np.full(len(rays), 1e4, np.float32)
    )
    ids = np.where(hits.triangle >= 0, geometry.owner[hits.triangle], -1)
    return ids.reshape(camera.height, camera.width), hits.distance.reshape(camera.height, -1)


def test_masks_match_an_id_render(plans):
    for plan, uid, camera, view in views_of(plans):
        ids, depth = owners(plan.world.geometry, camera)
        # At an edge, rays that differ in their last bits may hit different objects.
        assert np.count_nonzero((ids == uid) != view.mask) <= 1
        assert (ids < 0).sum() <= 2  # the room is closed
        # These rays have length 1 along the axis: their distance is the depth.
        written = depth_map(plan.world.geometry, camera)
        assert np.mean(np.abs(written / 1000 - depth) < 0.002) > 0.998


def test_a_target_is_well_visible_or_absent(plans):
    bound = size_limits(WIDTH, HEIGHT)
    assert size_limits(640, 480).min_pixels == 64
    for plan, uid, camera, view in views_of(plans):
        pixels = int(view.mask.sum())
        if pixels == 0:
            assert not hit_by_any_sample(plan.world.geometry, uid, camera, 2)
            assert view.absent_by in ("framing", "occlusion", "both")
        else:
            assert pixels >= bound.min_pixels and view.absent_by is None
    for plan in plans:
        for choice in plan.choices:
            first, absent = choice.views[0], sum(not v.mask.any() for v in choice.views)
            assert (
                first.visible_fraction >= 0.7
                and first.in_frame_fraction == 1
                and first.mask.sum() >= bound.min_pixels_first
            )
            assert absent in (1, 2)


def test_angles_between_views_are_in_range(plans):
    for plan in plans:
        for choice in plan.choices:
            centre = plan.layout.objects[choice.uid - 1].box.mean(axis=0)
            direction = np.stack([plan.cameras[v.camera].position for v in choice.views]) - centre
            direction /= np.linalg.norm(direction, axis=1, keepdims=True)
            angles = np.arccos(np.clip(direction @ direction.T, -1, 1))[
                np.triu_indices(len(direction), 1)
            ]
            assert angles.min() >= MIN_ANGLE - 1e-9 and angles.max() <= MAX_ANGLE + 1e-9


def reference_pixel(mask):
    """A pixel of the mask: the centre of its box if inside, else another one."""
    y, x = np.nonzero(mask)
    at = ((y.min() + y.max() + 1) // 2, (x.min() + x.max() + 1) // 2)
    return at if mask[at] else (y[len(y) // 2], x[len(x) // 2])


def trace_to(geometry, position, point):
    """(uid, distance) of the first hit of the ray from ``position`` through ``point``."""
    direction = point - position
    direction = (direction / np.linalg.norm(direction)).astype(np.float32)[None]
    hits = geometry.tracer.first_hit(
        position.astype(np.float32)[None], direction, np.full(1, 1e4, np.float32)
    )
    return geometry.owner[hits.triangle[0]], hits.distance[0]


def test_points_reproject_consistently_between_views(plans):
    """The 3-D point of A's pixel is in B's mask, occluded in B, or outside B's frame."""
    inside = hidden = outside = between = 0
    for plan in plans:
        geometry = plan.world.geometry
        for choice in plan.choices:
            for a in (v for v in choice.views if v.mask.any()):
                row, column = reference_pixel(a.mask)
                camera = plan.cameras[a.camera]
                _, depth = owners(geometry, camera)
                z = depth[row, column]
                u = (column + 0.5 - camera.width / 2) / camera.focal
                v = (row + 0.5 - camera.height / 2) / camera.focal
                pose = camera.pose()
                point = pose[:3, :3] @ np.array([u * z, v * z, z]) + pose[:3, 3]
                for b in choice.views:
                    if b is a:
                        continue
                    other = plan.cameras[b.camera]
                    flat, far = other.project(point[None])
                    if not other.inside(flat, far)[0]:
                        outside += 1
                        continue
                    x, y = (int(value) for value in flat[0])
                    _, nearest = owners(geometry, other)
                    # The point is not at the centre of B's pixel; an edge may lie between them.
                    if b.mask[max(0, y - 1) : y + 2, max(0, x - 1) : x + 2].any():
                        inside += 1
                    elif nearest[y, x] < far[0] - 0.002:
                        hidden += 1
                    else:  # in small images thin parts may miss all pixel centres
                        uid, distance = trace_to(geometry, other.position, point)
                        length = np.linalg.norm(point - other.position)
                        assert uid == choice.uid or distance < length - 0.002
                        between += 1
    assert inside > 30 and hidden > 5 and outside > 5
    assert between <= 0.03 * (inside + hidden)


def test_dilation_uses_a_square(plans):
    rng = np.random.default_rng(0)
    for margin in (0, 1, 2, 5):
        mask = rng.random((23, 31)) > 0.97
        mask[0, 0] = True
        expected = np.zeros_like(mask)
        for y, x in np.argwhere(mask):
            expected[max(0, y - margin) : y + margin + 1, max(0, x - margin) : x + margin + 1] = (
                True
            )
        assert np.array_equal(dilate(mask, margin), expected)
    assert not dilate(np.zeros((9, 9), bool), 3).any()
    assert margin_of(640) == 13


def test_images_have_plausible_brightness_and_no_red(plans):
    for plan in plans[:3]:
        for camera in list(plan.cameras.values())[:3]:
            image = final_image(render(plan.world, camera, 1), HEIGHT, WIDTH, 1, plan.exposure)
            assert 60 < image.mean() < 215
            assert image.std() > 15
            r, g, b = (image[..., k].astype(int) for k in range(3))
            assert not ((r > 140) & (r > 2.2 * np.maximum(g, b))).any()


def test_both_backends_give_nearly_the_same_image():
    plans = [make_plan("train", 0, options(tracer=name, samples=1)) for name in ("embree", "numba")]
    cameras = [next(iter(plan.cameras.values())) for plan in plans]
    if not np.array_equal(cameras[0].pose(), cameras[1].pose()):
        pytest.fail("the backends chose different cameras")
    one, two = (
        final_image(render(plan.world, cameras[0], 1), HEIGHT, WIDTH, 1, plans[0].exposure).astype(
            int
        )
        for plan in plans
    )
    assert np.mean(np.abs(one - two).max(axis=-1) > 2) < 0.01
