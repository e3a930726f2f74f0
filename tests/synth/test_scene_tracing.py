"""Both ray tracing backends agree with each other and with known results."""

import numpy as np
import pytest

from x3spatial.errors import UserError
from x3spatial.raycast.tracer import BACKENDS, backend, make_tracer
from x3spatial.synth.rendering.geometry import assemble
from x3spatial.synth.world.layout import make_layout

SQUARE = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], np.float32)
HALVES = np.array([[0, 1, 2], [0, 2, 3]], np.int32)


def rays(*pairs):
    origins, directions = zip(*pairs, strict=True)
    return np.array(origins, np.float32), np.array(directions, np.float32)


@pytest.mark.parametrize("name", BACKENDS)
def test_hits_and_misses_of_a_square(name):
    tracer = make_tracer(SQUARE, HALVES, name)
    origins, directions = rays(
        ((0.75, 0.25, 2.0), (0, 0, -1)),
        ((0.25, 0.75, -1.0), (0, 0, 1)),
        ((1.5, 0.5, 2.0), (0, 0, -1)),
        ((0.5, 0.25, 2.0), (0, 0, 1)),
        ((0.75, 0.25, 2.0), (0, 0, -1)),
    )
    reach = np.array([9, 9, 9, 9, 1.9], np.float32)
    hits = tracer.first_hit(origins, directions, reach)
    assert hits.triangle.tolist() == [0, 1, -1, -1, -1]
    assert np.allclose(hits.distance[:2], [2, 1])
    # (1 - u - v) a + u b + v c is the point that was hit
    corner = SQUARE[HALVES[0]]
    u, v = hits.u[0], hits.v[0]
    point = corner[0] * (1 - u - v) + corner[1] * u + corner[2] * v
    assert np.allclose(point, [0.75, 0.25, 0], atol=1e-6)
    assert tracer.occluded(origins, directions, reach).tolist() == [True, True, False, False, False]


@pytest.mark.parametrize("name", BACKENDS)
def test_an_empty_set_of_rays(name):
    tracer = make_tracer(SQUARE, HALVES, name)
    none = np.zeros((0, 3), np.float32)
    assert len(tracer.first_hit(none, none, none[:, 0]).triangle) == 0
    assert len(tracer.occluded(none, none, none[:, 0])) == 0


def test_backends_agree_on_a_room():
    layout = make_layout(np.random.default_rng(5), 4)
    fast, slow = (assemble(layout, name) for name in BACKENDS)
    rng = np.random.default_rng(0)
    n = 60_000
    room = layout.room
    origins = rng.uniform(
        [0.1] * 3, [room.width - 0.1, room.depth - 0.1, room.height - 0.1], (n, 3)
    )
    directions = rng.normal(size=(n, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    args = origins.astype(np.float32), directions.astype(np.float32)
    far = np.full(n, 100, np.float32)
    a, b = fast.tracer.first_hit(*args, far), slow.tracer.first_hit(*args, far)
    # Rays that graze an edge may hit either side, depending on rounding.
    assert np.mean(a.triangle != b.triangle) < 1e-3
    assert np.mean(fast.owner[a.triangle] != slow.owner[b.triangle]) < 2e-4
    same = (a.triangle == b.triangle) & (a.triangle >= 0)
    assert np.allclose(a.distance[same], b.distance[same], rtol=1e-4, atol=1e-4)
    assert np.quantile(np.abs(a.u[same] - b.u[same]), 0.999) < 1e-2
    # The occlusion query agrees with the first hit, also for short rays.
    for tracer in (fast.tracer, slow.tracer):
        reach = rng.uniform(0.05, 6, n).astype(np.float32)
        hit = tracer.first_hit(*args, reach).triangle >= 0
        assert np.array_equal(hit, tracer.occluded(*args, reach))


def test_both_backends_agree_with_brute_force():
    rng = np.random.default_rng(1)
    vertices = rng.uniform(-1, 1, (300, 3)).astype(np.float32)
    faces = np.arange(300, dtype=np.int32).reshape(-1, 3)
    origins = rng.uniform(-2, 2, (400, 3)).astype(np.float32)
    directions = rng.normal(size=(400, 3)).astype(np.float32)
    a, b, c = (vertices[faces[:, k]].astype(np.float64) for k in range(3))
    matrix = np.stack(np.broadcast_arrays(b - a, c - a), axis=-1)
    full = np.concatenate(
        [np.broadcast_to(matrix, (400, 100, 3, 2)), -directions[:, None, :, None] + np.zeros((1, 100, 1, 1))],
        axis=-1,
    )  # fmt: skip
    u, v, t = np.moveaxis(np.linalg.solve(full, (origins[:, None] - a)[..., None])[..., 0], -1, 0)
    t = np.where((u >= 0) & (v >= 0) & (u + v <= 1) & (t > 0), t, np.inf)
    expected = np.where(np.isfinite(t.min(axis=1)), t.argmin(axis=1), -1)
    for name in BACKENDS:
        hits = make_tracer(vertices, faces, name).first_hit(
            origins, directions, np.full(400, 1e6, np.float32)
        )
        assert np.array_equal(hits.triangle, expected)


def test_the_backend_is_chosen_by_the_environment_variable(monkeypatch):
    monkeypatch.delenv("X3_TRACER", raising=False)
    assert backend() in BACKENDS
    monkeypatch.setenv("X3_TRACER", "numba")
    assert backend() == "numba"
    monkeypatch.setenv("X3_TRACER", "opengl")
    with pytest.raises(UserError, match="X3_TRACER=opengl"):
        backend()
