"""Networks of LaMa's signature for tests: they fill a hole with the mean of the known pixels."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import onnx
from onnx import TensorProto, helper


def write_onnx(
    path: Path,
    *,
    size: tuple[int, int] | None = None,
    white: float = 1.0,
    inverted: bool = False,
    image_channels: int = 3,
    mask_name: str = "mask",
) -> Path:
    """A network in ONNX: image * (1 - mask) + mask * (mean of image * (1 - mask)) / (mean of 1 - mask).

    ``white``: what white is in the output. ``inverted``: the mask is taken for the known pixels.
    """
    height, width = size or ("H", "W")
    inputs = [
        helper.make_tensor_value_info(
            "image", TensorProto.FLOAT, [1, image_channels, height, width]
        ),
        helper.make_tensor_value_info(mask_name, TensorProto.FLOAT, [1, 1, height, width]),
    ]
    output = helper.make_tensor_value_info(
        "out", TensorProto.FLOAT, [1, image_channels, height, width]
    )
    constants = [
        helper.make_tensor("one", TensorProto.FLOAT, [], [1.0]),
        helper.make_tensor("white", TensorProto.FLOAT, [], [white]),
        helper.make_tensor("axes", TensorProto.INT64, [2], [2, 3]),
    ]
    known, hole = (mask_name, "rest") if inverted else ("rest", mask_name)
    steps = [
        ("Sub", ["one", mask_name], "rest"),
        ("Mul", ["image", known], "seen"),
        ("ReduceMean", ["seen", "axes"], "sum"),
        ("ReduceMean", [known, "axes"], "share"),
        ("Div", ["sum", "share"], "mean"),
        ("Mul", ["mean", hole], "painted"),
        ("Add", ["seen", "painted"], "all"),
        ("Mul", ["all", "white"], "out"),
    ]
    nodes = [helper.make_node(kind, sources, [target]) for kind, sources, target in steps]
    graph = helper.make_graph(nodes, "stand-in", inputs, [output], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, str(path))
    return path


def write_torchscript(path: Path) -> Path:
    """The same in TorchScript, with a check of the padding: sides must be multiples of 8."""
    import torch

    class StandIn(torch.nn.Module):
        def forward(self, image: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            assert image.size(2) % 8 == 0 and image.size(3) % 8 == 0, "not a multiple of 8"
            seen = image * (1 - mask)
            mean = seen.mean([2, 3], True) / (1 - mask).mean([2, 3], True)
            return seen + mask * mean

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        script: Any = torch.jit.script
        script(StandIn()).save(str(path))
    return path
