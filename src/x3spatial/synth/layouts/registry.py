"""The layouts of ``x3 scenes --layout``, by name."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from x3spatial.synth.layouts.base import Layout

_CLASSES = {
    "transforms": "transforms:Transforms",
    "coco": "coco:Coco",
    "scannetpp": "scannetpp:ScanNetPP",
    "scannet": "scannet:ScanNet",
    "3rscan": "threerscan:ThreeRScan",
}
LAYOUTS: Mapping[str, str] = MappingProxyType(
    {
        "transforms": "images, transforms.json (nerfstudio) and a PNG of instance ids per image",
        "coco": "the same with COCO JSON (RLE masks, track ids) instead of PNGs",
        "scannetpp": "ScanNet++ v2: scans and iphone, frames extracted",
        "scannet": "ScanNet v2, frames extracted",
        "3rscan": "3RScan: a reference scan and rescans without some objects",
    }
)
"""Name → what it writes."""


def open_layout(name: str) -> Layout:
    """The layout of a name in ``LAYOUTS``."""
    module, attribute = _CLASSES[name].split(":")
    layout: Layout = getattr(import_module(f"x3spatial.synth.layouts.{module}"), attribute)()
    return layout
