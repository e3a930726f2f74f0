"""Networks in files: an image and a mask in, an image out. The packages that run them are imported here."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import numpy as np

from x3spatial.arrays import Float32
from x3spatial.errors import packages_of
from x3spatial.texts import shortened


class NetworkError(Exception):
    """A file that is not the network that is needed, or a run of it that failed; without the path."""


class Network(ABC):
    """An opened network."""

    size: tuple[int, int] | None = None
    """(H, W) of its input; None if it takes any."""

    @abstractmethod
    def run(self, image: Float32, mask: Float32) -> Float32:
        """The output for an image ``[1, 3, H, W]`` and a mask ``[1, 1, H, W]``.

        Raises:
            NetworkError: it failed.
        """

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """What runs it: package, version and device."""


def load_onnx(path: Path) -> Network:
    """The network of an ONNX file (onnxruntime, extra ``lama``).

    Raises:
        NetworkError: it cannot be loaded, or has other inputs.
        UserError: onnxruntime is not installed.
    """
    with packages_of("lama", f"lama:{path}"):
        import onnxruntime
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # errors are raised; their texts on stderr would repeat them
    try:
        session = onnxruntime.InferenceSession(
            str(path), options, providers=onnxruntime.get_available_providers()
        )
    except Exception as error:  # onnxruntime's classes of errors are not public
        raise NetworkError(f"cannot be loaded by onnxruntime: {_reason(error)}") from None
    return _Onnx(session, onnxruntime.__version__)


class _Onnx(Network):
    def __init__(self, session: Any, version: str) -> None:
        self._session = session
        self._version = version
        inputs = session.get_inputs()
        found = {_channels(entry): entry for entry in inputs}
        if len(inputs) != 2 or set(found) != {1, 3} or len(session.get_outputs()) != 1:
            shown = ", ".join(f"{entry.name} {entry.shape}" for entry in inputs)
            raise NetworkError(
                f"its inputs are {shown or 'none'} and it has {len(session.get_outputs())} outputs;"
                " needed are an image [1, 3, H, W], a mask [1, 1, H, W] and one output"
            )
        image, mask = found[3], found[1]
        for entry in (image, mask):
            if entry.type != "tensor(float)":
                raise NetworkError(f"its input {entry.name} is {entry.type}, not tensor(float)")
        self._names = image.name, mask.name
        height, width = image.shape[2:]
        if isinstance(height, int) and isinstance(width, int):
            self.size = (height, width)

    def run(self, image: Float32, mask: Float32) -> Float32:
        try:
            (found,) = self._session.run(None, dict(zip(self._names, (image, mask), strict=True)))
        except Exception as error:  # onnxruntime's classes of errors are not public
            raise NetworkError(f"failed in onnxruntime: {_reason(error)}") from None
        return np.asarray(found, np.float32)

    def describe(self) -> dict[str, Any]:
        device = self._session.get_providers()[0].removesuffix("ExecutionProvider")
        return {"onnxruntime": self._version, "device": device.lower()}


def _channels(entry: Any) -> Any:
    return entry.shape[1] if len(entry.shape) == 4 else None


def load_torchscript(path: Path) -> Network:
    """The network of a TorchScript file, whose code is run (torch, extra ``roborefer``).

    Raises:
        NetworkError: it cannot be loaded.
        UserError: torch is not installed.
    """
    with packages_of("roborefer", f"lama:{path}"):
        import torch
    device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", (DeprecationWarning, FutureWarning))  # of torch.jit
            load: Any = torch.jit.load
            module = load(str(path), map_location=device).eval()
    except (RuntimeError, ValueError, OSError) as error:
        raise NetworkError(f"cannot be loaded by torch: {_reason(error)}") from None
    return _TorchScript(module, device)


class _TorchScript(Network):
    def __init__(self, module: Any, device: str) -> None:
        self._module = module
        self._device = device

    def run(self, image: Float32, mask: Float32) -> Float32:
        import torch

        tensors = [torch.from_numpy(array).to(self._device) for array in (image, mask)]
        try:
            with torch.inference_mode():
                found = self._module(*tensors)
        except Exception as error:  # the file's own code raises what it likes
            raise NetworkError(f"failed in torch: {_reason(error)}") from None
        if not isinstance(found, torch.Tensor):
            raise NetworkError(f"its output is a {type(found).__name__}, not one tensor")
        return np.asarray(found.float().cpu().numpy(), np.float32)

    def describe(self) -> dict[str, Any]:
        import torch

        return {"torch": torch.__version__, "device": self._device}


def _reason(error: Exception) -> str:
    """The last line of a message that says something: those of torch begin with a traceback."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return shortened(lines[-1] if lines else type(error).__name__)
