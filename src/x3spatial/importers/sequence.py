"""The sequence of a 3RScan scan: ``_info.txt`` and the files of its frames, in a folder or in a zip."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from x3spatial.arrays import Float32, Float64, UInt8
from x3spatial.importers.scan_files import aligned_depth
from x3spatial.importers.scene import SceneError, Size
from x3spatial.io.images import ImageError, decode_channels, decode_rgb, read_bytes

_MOST = 1 << 28
"""Bytes of a member of a zip; frames have less than a thousandth of it."""


class FrameFiles:
    """Reads the files of a sequence; ``path`` is its folder or its zip."""

    def __init__(self, scan: Path) -> None:
        """Find the sequence of a scan's folder.

        Raises:
            SceneError: there is none, or the zip is damaged.
        """
        self._zip: zipfile.ZipFile | None = None
        folder, packed = scan / "sequence", scan / "sequence.zip"
        if (folder / "_info.txt").is_file():
            self.path = folder
            self.names = sorted(path.name for path in folder.iterdir())
        elif packed.is_file():
            self.path = packed
            try:
                self._zip = zipfile.ZipFile(packed)
            except (OSError, zipfile.BadZipFile) as error:
                raise SceneError(packed, f"cannot be read: {error}") from None
            self.names = sorted(self._zip.namelist())
        else:
            raise SceneError(scan, "has neither sequence/_info.txt nor sequence.zip")

    def read(self, name: str) -> bytes:
        """The bytes of a file.

        Raises:
            ImageError: it is missing or damaged.
        """
        if self._zip is None:
            return read_bytes(self.path / name)
        try:
            if self._zip.getinfo(name).file_size > _MOST:
                raise ImageError(f"{name} in {self.path.name} is far too large")
            return self._zip.read(name)
        except (KeyError, OSError, zipfile.BadZipFile, RuntimeError, EOFError) as error:
            raise ImageError(f"{name} in {self.path.name} cannot be read: {error}") from None

    def close(self) -> None:
        """Close the zip."""
        if self._zip is not None:
            self._zip.close()

    def image(self, name: str, size: Size) -> UInt8:
        """RGB ``[H, W, 3]`` of a frame.

        Raises:
            ImageError: it cannot be read, or has another size than the calibration.
        """
        image = decode_rgb(self.read(name))
        if image.shape[:2] != (size[1], size[0]):
            raise ImageError(
                f"has {image.shape[1]} x {image.shape[0]} pixels, _info.txt says {size[0]} x {size[1]}"
            )
        return image

    def depth(self, name: str, info: Info) -> Float32:
        """Depth in metres on a grid of the colour camera's view.

        Raises:
            ImageError: it cannot be read.
        """
        values = decode_channels(self.read(name))
        if values.ndim != 2 or values.dtype.kind not in "iu":
            raise ImageError(f"depth image {name} is not 16-bit grey")
        depth = values.astype(np.float32) / np.float32(info.depth_shift)
        return aligned_depth(depth, info.depth_matrix, info.colour_matrix, info.colour_size)


@dataclass(frozen=True)
class Info:
    """The calibration of a sequence."""

    colour_size: Size
    colour_matrix: Float64  # [3, 3]
    depth_size: Size
    depth_matrix: Float64  # [3, 3]
    depth_shift: float  # units per metre


def parse_info(text: str) -> Info:
    """Parse ``_info.txt``.

    Raises:
        ValueError: a value is missing or wrong; the message says which.
    """
    values = dict[str, str]()
    for line in text.splitlines():
        key, found, value = line.partition("=")
        if found:
            values[key.strip()] = value.strip()

    def numbers(key: str, count: int) -> Float64:
        if key not in values:
            raise ValueError(f"has no {key}")
        try:
            array = np.array(values[key].split(), np.float64)
        except ValueError:
            array = np.zeros(0)
        if array.size != count or not np.isfinite(array).all():
            raise ValueError(f"{key} has not {count} {'number' if count == 1 else 'numbers'}")
        return array

    def size(kind: str) -> Size:
        width, height = (int(numbers(f"m_{kind}{side}", 1)[0]) for side in ("Width", "Height"))
        if min(width, height) < 1:
            raise ValueError(f"m_{kind}Width and m_{kind}Height are below 1")
        return width, height

    def matrix(kind: str) -> Float64:
        found = numbers(f"m_calibration{kind}Intrinsic", 16).reshape(4, 4)[:3, :3]
        if min(found[0, 0], found[1, 1]) <= 0:
            raise ValueError(f"m_calibration{kind}Intrinsic has no focal length")
        return found

    shift = float(numbers("m_depthShift", 1)[0])
    if shift <= 0:
        raise ValueError("m_depthShift is not above 0")
    return Info(size("color"), matrix("Color"), size("depth"), matrix("Depth"), shift)
