"""PLY meshes: written, read in all encodings, and refused where they are damaged."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from x3spatial.io.ply import PlyError, read_ply, write_ply

VERTICES = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0.5], [1, 1, -2]], np.float32)
FACES = np.array([[0, 1, 2], [1, 3, 2]], np.int32)
IDS = np.array([1, 1, 700, 0], np.uint16)
HEADER = """ply
format {} 1.0
comment made by hand
element vertex 4
property double x
property double y
property double z
property ushort objectId
element face 2
property list uchar int vertex_indices
property int segment
element edge 1
property int vertex1
end_header
"""


def text(corners: str = "3 1 3 2 8") -> bytes:
    rows = [f"{x} {y} {z} {i}" for (x, y, z), i in zip(VERTICES, IDS, strict=True)]
    return (HEADER.format("ascii") + "\n".join([*rows, "3 0 1 2 7", corners, "5"]) + "\n").encode()


def binary(order: str, name: str) -> bytes:
    body = b"".join(struct.pack(order + "dddH", *v, i) for v, i in zip(VERTICES, IDS, strict=True))
    body += b"".join(struct.pack(order + "Biiii", 3, *f, 7 + k) for k, f in enumerate(FACES))
    return HEADER.format(name).encode() + body + struct.pack(order + "i", 5)


@pytest.mark.parametrize(
    "data",
    [text(), binary("<", "binary_little_endian"), binary(">", "binary_big_endian")],
    ids=["ascii", "little", "big"],
)
def test_all_encodings(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.ply").write_bytes(data)
    mesh = read_ply(tmp_path / "a.ply")
    assert np.array_equal(mesh.vertices, VERTICES) and np.array_equal(mesh.faces, FACES)
    assert mesh.vertices.dtype == np.float32 and mesh.faces.dtype == np.int32
    assert mesh.vertex["objectId"].tolist() == IDS.tolist()
    assert mesh.face["segment"].tolist() == [7, 8]


@settings(max_examples=20, deadline=None)
@given(st.integers(3, 40), st.integers(1, 50), st.integers(0, 2**32 - 1))
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, points: int, triangles: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    vertices = rng.normal(size=(points, 3)).astype(np.float32)
    faces = rng.integers(0, points, (triangles, 3)).astype(np.int32)
    colour = rng.integers(0, 256, points).astype(np.uint8)
    path = tmp_path_factory.mktemp("ply") / "a.ply"
    write_ply(path, vertices, faces, {"red": colour, "objectId": colour.astype(np.int32)})
    mesh = read_ply(path)
    assert np.array_equal(mesh.vertices, vertices) and np.array_equal(mesh.faces, faces)
    assert np.array_equal(mesh.vertex["red"], colour)
    assert mesh.vertex["objectId"].dtype == np.int32


LITTLE = binary("<", "binary_little_endian")
SQUARE = LITTLE.replace(struct.pack("<Bi", 3, 1), struct.pack("<Bi", 4, 1))
DAMAGED = {
    "file is missing": None,
    "is not a PLY file": b"solid teapot",
    "truncated": LITTLE[:-20],
    "face 1 has 4 corners": SQUARE,
    "unequal length": text("4 1 3 2 0 8"),
    "has no faces": LITTLE.replace(b"vertex_indices", b"something_else"),
    "with a vertex that is not one of the 4": text("3 1 9 2 8"),
    "not finite": text().replace(b"-2.0", b"nan"),
    "not understood": LITTLE.replace(b"property double x", b"property colour x"),
    "unknown format": LITTLE.replace(b"little", b"middle"),
    "has no vertices with x": LITTLE.replace(b"double x", b"double q"),
    "not numbers": text("3 1 a 2 8"),
}


@pytest.mark.parametrize("reason", DAMAGED)
def test_damaged(reason: str, tmp_path: Path) -> None:
    path, data = tmp_path / "a.ply", DAMAGED[reason]
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(PlyError, match=reason):
        read_ply(path)
