"""Rooms: no collisions, distinguishable targets, no red."""

import numpy as np
import pytest

from x3spatial.synth.world.catalogue import KINDS
from x3spatial.synth.world.layout import make_layout
from x3spatial.synth.world.palette import COLOURS, LEAF_GREENS, WALLS, WOODS
from x3spatial.synth.world.patterns import PATTERNS, tiles
from x3spatial.synth.world.placement import overlap
from x3spatial.synth.world.surface_images import SurfaceImage, draw

LAYOUTS = [make_layout(np.random.default_rng(seed), 4) for seed in range(14)]
layouts = pytest.mark.parametrize("layout", LAYOUTS, ids=range(len(LAYOUTS)))


@layouts
def test_no_two_objects_collide(layout):
    objects = [t for t in layout.objects if t.kind.name != "rug"]
    for i, a in enumerate(objects):
        for b in objects[i + 1 :]:
            if b.carrier == a.uid:
                continue
            assert not overlap(a.box, b.box), f"{a.label} in {b.label}"


@layouts
def test_every_object_is_in_the_room_and_supported(layout):
    room = layout.room
    for item in layout.objects:
        assert np.all(item.box[0] >= -1e-6)
        assert np.all(item.box[1] <= [room.width, room.depth, room.height])
        assert (
            not any(overlap(item.box, keep) for keep in room.keep_outs) or item.kind.name == "rug"
        )
        if item.carrier is not None:
            carrier = layout.objects[item.carrier - 1]
            held = [
                s for s in carrier.supports
                if s.x0 <= item.box[0, 0] + 1e-9 and item.box[1, 0] <= s.x1 + 1e-9
                and s.y0 <= item.box[0, 1] + 1e-9 and item.box[1, 1] <= s.y1 + 1e-9
                and 0 < item.box[0, 2] - s.z < 0.02 and item.box[1, 2] <= s.z + s.clear
            ]  # fmt: skip
            assert held, f"{item.label} does not stand on {carrier.label}"
        elif item.kind.mount == "floor":
            assert 0 < item.box[0, 2] < 0.02


@layouts
def test_targets_carry_nothing_and_have_a_counterpart_in_another_colour(layout):
    assert len(layout.targets) >= 4
    carriers = {item.carrier for item in layout.objects}
    for uid in layout.targets:
        item = layout.objects[uid - 1]
        assert item.uid == uid and item.kind.target and uid not in carriers
        doubles = [t for t in layout.objects if t.kind is item.kind and t.uid != uid]
        assert doubles
        assert all(t.colour != item.colour for t in doubles)
    labels = [t.label for t in layout.objects]
    assert all(labels.count(layout.objects[uid - 1].label) == 1 for uid in layout.targets)


def test_rooms_differ_and_use_many_kinds():
    kinds = {item.kind.name for layout in LAYOUTS for item in layout.objects}
    assert len(KINDS) >= 30
    assert len(kinds) >= 24
    assert len({round(layout.room.width, 6) for layout in LAYOUTS}) == len(LAYOUTS)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_meshes_are_valid(kind):
    for seed in range(3):
        model = kind.maker(np.random.default_rng(seed), kind.colours[0])
        mesh = model.mesh
        assert mesh.faces.min() >= 0 and mesh.faces.max() < len(mesh.vertices)
        assert len(mesh.faces) == len(mesh.slots) and mesh.slots.max() < len(mesh.materials)
        assert np.isfinite(mesh.vertices).all() and np.isfinite(mesh.uv).all()
        assert np.allclose(np.linalg.norm(mesh.normals, axis=1), 1, atol=1e-6)
        size = mesh.box[1] - mesh.box[0]
        assert np.all(size > 0.004) and np.all(size < 2.6)
        if kind.mount != "wall":
            assert abs(mesh.box[0, 2]) < 0.02
        else:
            assert mesh.box[0, 1] > -0.01


def test_normals_point_outward_on_closed_solids():
    # The signed volume of a closed mesh is positive if its faces turn outward, and then the
    # normals of its corners lie on the faces' side.
    for name in ("carton", "vase", "ball", "bottle"):
        mesh = KINDS[name].maker(np.random.default_rng(0), "blue").mesh
        corner = mesh.vertices[mesh.faces]
        cross = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
        assert (corner[:, 0] * cross).sum() > 0
        area = np.linalg.norm(cross, axis=1)
        solid = area > 1e-9
        agree = np.einsum("ij,ikj->ik", cross[solid], mesh.normals[mesh.faces][solid])
        assert np.mean(agree > 0) > 0.98


def redness(colours):
    """Ratio of red to the largest other channel of linear colours [..., 3]."""
    colours = np.asarray(colours, np.float64)
    return colours[..., 0] / np.maximum(colours[..., 1:].max(axis=-1), 1e-3)


def test_no_colour_is_as_red_as_the_marker():
    palette = [c for table in (COLOURS, WOODS) for pair in table.values() for c in pair]
    palette += [c for pair in (*WALLS, *LEAF_GREENS) for c in pair]
    # Orange comes nearest; pure red exceeds 1000.
    assert redness(palette).max() < 4
    for kind in ("art", "rug", "spines", "screen", "sky", "dial"):
        for seed in range(6):
            image = draw(SurfaceImage(kind, seed))
            assert image.min() >= 0 and image.max() <= 1
            strong = image[..., 0] > 0.15
            assert not strong.any() or redness(image[strong]).max() < 4


def test_patterns_are_tileable():
    stack = tiles()
    assert stack.shape[0] == len(PATTERNS)
    assert stack.min() >= 0 and stack.max() <= 1
    for name in ("plain", "weave", "carpet"):
        tile = stack[PATTERNS.index(name)]
        inner = np.abs(np.diff(tile, axis=0)).mean()
        assert np.abs(tile[0] - tile[-1]).mean() < 2 * inner
