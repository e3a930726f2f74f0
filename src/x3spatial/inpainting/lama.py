"""``lama:WEIGHTS``: the LaMa network that the user has, as an ONNX or a TorchScript file.

Both take an image ``[1, 3, H, W]`` from 0 to 1 and a mask ``[1, 1, H, W]``, 1 in the hole. x3spatial has
no weights. An ONNX file is a list of operations. A TorchScript file is a program that runs with the rights
of the user, so it is run only if the user says so: ``lama:trust-code:FILE``.

Source of the method: R. Suvorov et al., "Resolution-robust Large Mask Inpainting with Fourier Convolutions",
WACV 2022.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any, Self

import cv2
import numpy as np

from x3spatial.arrays import Bool, Float32, UInt8
from x3spatial.inpainting.arguments import needed
from x3spatial.inpainting.base import Engine, EngineError, ImageName, InpaintingError
from x3spatial.inpainting.networks import Network, NetworkError, load_onnx, load_torchscript
from x3spatial.io.files import sha256_file
from x3spatial.io.opening import open_regular

MULTIPLE = 8
"""Height and width of the network's input are multiples of this."""
TRUST = "trust-code"
"""Before the file's name: its code may be run."""
_PROBE = 64
"""Side of the image with which a file is tried when it is opened."""
_TOLERANCE = 0.02
"""Mean difference outside of the hole, on a scale of 0 to 1, at which the probe counts as given back."""
_LEVELS = (1.0, 255.0)
"""What white is in the outputs of published files."""


class Lama(Engine):
    """Runs a network."""

    kind = "lama"

    def __init__(self, network: Network, weights: Path) -> None:
        self._network = network
        self._weights = weights
        self._white = self._probe()

    @classmethod
    def create(cls, argument: str | None, *, timeout: float) -> Self:
        """The engine of a file.

        Raises:
            EngineError: the file is missing, no network, one that needs ``trust-code``, or has other inputs
                or outputs.
            UserError: the package that runs it is not installed.
        """
        text = needed(cls.kind, argument, "WEIGHTS")
        trusted = text.startswith(f"{TRUST}:")
        weights = Path(needed(f"{cls.kind}:{TRUST}", text.removeprefix(f"{TRUST}:"), "WEIGHTS"))
        try:
            return cls(_load(weights, trusted=trusted), weights)
        except NetworkError as error:
            raise EngineError(str(error)) from None

    def paint(self, image: UInt8, hole: Bool, name: ImageName | None) -> UInt8:
        """Fill a hole.

        Raises:
            InpaintingError: the network failed on this image, or gave values that are not finite.
        """
        try:
            result = self._run(image.astype(np.float32) / 255.0, hole)
        except NetworkError as error:
            where = self._weights if name is None else name.path
            raise InpaintingError(where, f"{self._weights}: {error}") from None
        levels = np.floor(result * (255.0 / self._white) + 0.5)
        return np.asarray(np.clip(levels, 0, 255), np.uint8)

    def _run(self, image: Float32, hole: Bool) -> Float32:
        """The network's output ``[H, W, 3]`` for an image ``[H, W, 3]`` from 0 to 1.

        Raises:
            NetworkError: see ``paint``.
        """
        height, width = hole.shape
        if self._network.size is not None:
            size = self._network.size[::-1]
            smaller = size[0] <= width and size[1] <= height
            scaled = cv2.resize(
                image, size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
            )
            # Every pixel that touches the hole belongs to it: else its colours would remain at the edge.
            mask = cv2.resize(hole.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0
            if mask.all():
                raise NetworkError("the hole leaves nothing of the image in the network's size")
        else:
            rows, columns = -height % MULTIPLE, -width % MULTIPLE
            scaled = np.pad(image, ((0, rows), (0, columns), (0, 0)), "symmetric")
            mask = np.pad(hole, ((0, rows), (0, columns)), "symmetric")
        found = self._network.run(
            np.ascontiguousarray(scaled.transpose(2, 0, 1)[None], np.float32),
            np.ascontiguousarray(mask[None, None], np.float32),
        )
        expected = (1, 3, *mask.shape)
        if found.shape != expected:
            raise NetworkError(f"its output is {list(found.shape)}, not {list(expected)}")
        if not np.isfinite(found).all():
            raise NetworkError("its output has values that are not finite")
        result = np.ascontiguousarray(found[0].transpose(1, 2, 0), np.float32)
        if self._network.size is not None:
            return np.asarray(
                cv2.resize(result, (width, height), interpolation=cv2.INTER_CUBIC), np.float32
            )
        return result[:height, :width]

    def _probe(self) -> float:
        """What white is in the output, which is measured on an image: outside of the hole it comes back.

        Raises:
            NetworkError: it does not.
        """
        side = _PROBE
        height, width = self._network.size or (side, side)
        rows, columns = np.mgrid[:height, :width].astype(np.float32)
        image = np.stack([rows / height, columns / width, (rows + columns) / (height + width)], -1)
        hole = np.zeros((height, width), bool)
        hole[height // 3 : height // 2, width // 3 : width // 2] = True
        found = self._run(image, hole)
        for white in _LEVELS:
            if np.abs(found / white - image)[~hole].mean() < _TOLERANCE:
                return white
        raise NetworkError(
            "does not give the image back outside of the mask: it is not a LaMa network with the inputs"
            " image [1, 3, H, W] from 0 to 1 and mask [1, 1, H, W], 1 in the hole"
        )

    def describe(self) -> dict[str, Any]:
        """The kind, the file's hash, and what ran it."""
        return {"kind": self.kind, "sha256": sha256_file(self._weights), **self._network.describe()}


def _load(weights: Path, *, trusted: bool) -> Network:
    """The network of a file; the content decides which kind of file it is.

    Raises:
        NetworkError: it is missing, or neither kind.
    """
    try:
        with open_regular(weights) as file:
            head = file.read(64)
    except FileNotFoundError:
        raise NetworkError("no such file") from None
    except OSError as error:
        raise NetworkError(error.strerror or str(error)) from None
    if head.startswith(b"version https://git-lfs"):
        raise NetworkError("is a Git LFS pointer, not weights; run: git lfs pull")
    if head.startswith(b"PK"):
        if not _is_torchscript(weights):
            raise NetworkError(
                "holds weights without their network (a checkpoint); export it as ONNX or TorchScript"
            )
        if not trusted:
            raise NetworkError(
                "TorchScript files are programs and run with your rights; if you trust its maker write"
                f" lama:{TRUST}:{weights}, or use an ONNX file"
            )
        return load_torchscript(weights)
    if head.startswith(b"\x08") or weights.suffix == ".onnx":  # the field ir_version comes first
        return load_onnx(weights)
    raise NetworkError("is neither an ONNX nor a TorchScript file")


def _is_torchscript(weights: Path) -> bool:
    """Whether an archive of torch has code in it.

    Raises:
        NetworkError: it is damaged.
    """
    try:
        with zipfile.ZipFile(weights) as archive:
            return any("/code/" in name for name in archive.namelist())
    except (zipfile.BadZipFile, OSError) as error:
        raise NetworkError(f"is damaged: {error}") from None
