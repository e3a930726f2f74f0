"""Triangle meshes as PLY files: read in all three encodings, written as little-endian binary.

The package plyfile reads the same files, but its licence (GPL) is not ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from x3spatial.arrays import Float32, Int32
from x3spatial.io.files import write_bytes
from x3spatial.io.opening import open_regular

_TYPES = {
    **dict.fromkeys(("char", "int8"), "i1"), **dict.fromkeys(("uchar", "uint8"), "u1"),
    **dict.fromkeys(("short", "int16"), "i2"), **dict.fromkeys(("ushort", "uint16"), "u2"),
    **dict.fromkeys(("int", "int32"), "i4"), **dict.fromkeys(("uint", "uint32"), "u4"),
    **dict.fromkeys(("float", "float32"), "f4"), **dict.fromkeys(("double", "float64"), "f8"),
}  # fmt: skip
_NAMES = {"u1": "uchar", "u2": "ushort", "i4": "int", "f4": "float"}
_ORDERS = {"ascii": "<", "binary_little_endian": "<", "binary_big_endian": ">"}
_CORNERS = ("vertex_indices", "vertex_index")
_MAX_HEADER = 65536


class PlyError(ValueError):
    """A PLY file that cannot be used; the message is the reason, without the path."""


@dataclass(frozen=True)
class Ply:
    """A triangle mesh. ``vertex`` and ``face`` hold the other properties by name, one value each."""

    vertices: Float32  # [n, 3]
    faces: Int32  # [m, 3]
    vertex: Mapping[str, npt.NDArray[Any]]
    face: Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class _Element:
    name: str
    count: int
    properties: list[tuple[str, str, str | None]]
    """Name, type, and for lists the type of the count."""

    def dtype(self, order: str) -> np.dtype[Any]:
        """Record type; a list has three entries."""
        fields: list[Any] = []
        for name, kind, count in self.properties:
            if count is not None:
                fields.append((f"#{name}", order + count))
            fields.append((name, order + kind, (3,)) if count is not None else (name, order + kind))
        return np.dtype(fields)


def write_ply(
    path: Path,
    vertices: Float32,
    faces: Int32,
    vertex: Mapping[str, npt.NDArray[Any]] = MappingProxyType({}),
) -> None:
    """Write a mesh atomically.

    Args:
        path: the file.
        vertices: ``[n, 3]``.
        faces: ``[m, 3]`` indices of vertices.
        vertex: further properties of the vertices, ``[n]`` each, of type uint8, uint16, int32 or float32.
    """
    columns = {"x": vertices[:, 0], "y": vertices[:, 1], "z": vertices[:, 2], **vertex}
    fields = [(name, np.dtype(values.dtype).str[1:]) for name, values in columns.items()]
    points = np.empty(len(vertices), np.dtype([(name, "<" + kind) for name, kind in fields]))
    for name, values in columns.items():
        points[name] = values
    triangles = np.empty(len(faces), np.dtype([("count", "u1"), ("corners", "<i4", (3,))]))
    triangles["count"], triangles["corners"] = 3, faces
    lines = [
        "ply",
        "format binary_little_endian 1.0",
        f"element vertex {len(vertices)}",
        *(f"property {_NAMES[kind]} {name}" for name, kind in fields),
        f"element face {len(faces)}",
        "property list uchar int vertex_indices",
        "end_header",
    ]
    header = "\n".join(lines) + "\n"
    write_bytes(path, header.encode() + points.tobytes() + triangles.tobytes())


def read_ply(path: Path) -> Ply:
    """Read a mesh of triangles.

    Raises:
        PlyError: the file is missing or damaged, has other faces than triangles, or no faces.
    """
    try:
        with open_regular(path) as file:
            data = file.read()
    except FileNotFoundError:
        raise PlyError("file is missing") from None
    except OSError as error:
        raise PlyError(f"cannot be read: {error.strerror or error}") from None
    elements, encoding, start = _header(data)
    tables = _tables(data, elements, encoding, start)
    if "vertex" not in tables or not {"x", "y", "z"} <= set(tables["vertex"].dtype.names or ()):
        raise PlyError("has no vertices with x, y and z")
    points = tables["vertex"]
    vertices = np.stack([points[axis].astype(np.float32) for axis in "xyz"], axis=1)
    if not np.isfinite(vertices).all():
        raise PlyError("has a vertex that is not finite")
    corners = next((name for name in _CORNERS if name in _names(tables.get("face"))), None)
    if corners is None or not len(tables["face"]):
        raise PlyError("has no faces: a point cloud cannot be used, only a mesh")
    found = tables["face"]
    if (bad := np.flatnonzero(found[f"#{corners}"] != 3)).size:
        raise PlyError(
            f"face {bad[0]} has {found[f'#{corners}'][bad[0]]} corners; triangulate the mesh"
        )
    faces = found[corners].astype(np.int64)
    if faces.min() < 0 or faces.max() >= len(vertices):
        raise PlyError(f"has a face with a vertex that is not one of the {len(vertices)}")
    return Ply(
        np.ascontiguousarray(vertices),
        np.ascontiguousarray(faces, np.int32),
        {name: points[name] for name in _names(points) if name not in "xyz"},
        {n: found[n] for n in _names(found) if n != corners and not n.startswith("#")},
    )


def _names(table: npt.NDArray[Any] | None) -> Sequence[str]:
    return () if table is None else table.dtype.names or ()


def _header(data: bytes) -> tuple[list[_Element], str, int]:
    """The elements, the encoding, and where the body starts."""
    end = data.find(b"end_header", 0, _MAX_HEADER)
    stop = data.find(b"\n", end) + 1
    if not data.startswith(b"ply") or end < 0 or stop == 0:
        raise PlyError("is not a PLY file")
    encoding, elements = "", list[_Element]()
    for line in data[:end].decode("latin-1").splitlines()[1:]:
        words = line.split()
        try:
            match words:
                case ["format", name, _]:
                    encoding = name
                case ["element", name, count]:
                    elements.append(_Element(name, int(count), []))
                case ["property", "list", count, kind, name]:
                    elements[-1].properties.append((name, _TYPES[kind], _TYPES[count]))
                case ["property", kind, name]:
                    elements[-1].properties.append((name, _TYPES[kind], None))
        except (KeyError, ValueError, IndexError):
            raise PlyError(f"has a header line that is not understood: {line.strip()}") from None
    if encoding not in _ORDERS:
        raise PlyError(f"has an unknown format {encoding!r}")
    if any(element.count < 0 for element in elements):
        raise PlyError("has a negative number of elements")
    return elements, encoding, stop


def _tables(
    data: bytes, elements: list[_Element], encoding: str, start: int
) -> dict[str, npt.NDArray[Any]]:
    """Element → its records, up to and including the faces; what follows is not used."""
    tables: dict[str, npt.NDArray[Any]] = {}
    lines = data[start:].split(b"\n") if encoding == "ascii" else []
    row = 0
    for element in elements:
        try:
            dtype = element.dtype(_ORDERS[encoding])
        except ValueError:
            raise PlyError(f"names a property of {element.name} twice") from None
        if encoding == "ascii":
            rows = lines[row : row + element.count]
            row += element.count
            tables[element.name] = _parsed(rows, element, dtype)
        else:
            if dtype.itemsize and element.count > (len(data) - start) // dtype.itemsize:
                _explain_short(data, element, dtype, start)
            tables[element.name] = np.frombuffer(data, dtype, element.count, start)
            start += element.count * dtype.itemsize
        if element.name == "face":
            break
    return tables


def _explain_short(data: bytes, element: _Element, dtype: np.dtype[Any], start: int) -> None:
    """Raise: the body is too short, for triangles or altogether."""
    for name, _, count in element.properties:
        whole = (len(data) - start) // dtype.itemsize
        if count is not None and whole:
            counts = np.frombuffer(data, dtype, whole, start)[f"#{name}"]
            if (bad := np.flatnonzero(counts != 3)).size:
                raise PlyError(f"{element.name} {bad[0]} is no triangle; triangulate the mesh")
    raise PlyError(f"ends before its {element.count} elements {element.name!r}: it is truncated")


def _parsed(rows: list[bytes], element: _Element, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """The records of lines of text."""
    width = sum(4 if count is not None else 1 for _, _, count in element.properties)
    if len(rows) < element.count:
        raise PlyError(f"ends before its {element.count} elements {element.name!r}")
    try:
        flat = np.array(b" ".join(rows).split(), np.float64)
    except ValueError:
        raise PlyError(f"has an element {element.name!r} that is not numbers") from None
    if len(flat) != width * element.count:
        raise PlyError(f"has elements {element.name!r} of unequal length; triangulate the mesh")
    values, table = flat.reshape(element.count, width), np.empty(element.count, dtype)
    at = 0
    for name, _, count in element.properties:
        if count is not None:
            table[f"#{name}"] = values[:, at]
            table[name] = values[:, at + 1 : at + 4]
            at += 4
        else:
            table[name] = values[:, at]
            at += 1
    return table
