"""Images with nerfstudio's ``transforms.json``, depth, and a PNG of instance ids per image."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from x3spatial.io.files import write_bytes, write_json
from x3spatial.io.images import encode_depth_png, encode_png
from x3spatial.synth.layouts.base import Layout
from x3spatial.synth.layouts.cameras import nerfstudio, opengl
from x3spatial.synth.layouts.scan import Frame, Scan
from x3spatial.synth.options import scene_name


class Transforms(Layout):
    """``SPLIT/SCENE/{transforms.json,objects.json,images,instances,depth}``."""

    depth_width = 320
    folders: tuple[str, ...] = ("images", "depth", "instances")

    def name(self, split: str, index: int) -> str:
        """That of the data root."""
        return scene_name(split, index)

    def folder(self, root: Path, split: str, name: str) -> Path:
        """``SPLIT/NAME``."""
        return root / split / name

    def write(self, folder: Path, scan: Scan, frames: Iterator[Frame]) -> None:
        """The parts of the room are not annotated."""
        self.write_cameras(folder, scan)
        write_json(
            folder / "objects.json",
            {
                "objects": [
                    {"id": part.id, "label": part.label, "kind": part.kind, "uid": str(part.id)}
                    for part in scan.instances
                    if part.id <= scan.world.geometry.objects
                ]
            },
        )
        for frame in frames:
            self.write_frame(folder, frame)
            ids = encode_depth_png(frame.owner.astype(np.uint16))  # 16-bit grey
            write_bytes(folder / "instances" / f"{frame.number:06d}.png", ids)

    @staticmethod
    def write_cameras(folder: Path, scan: Scan) -> None:
        """Write ``transforms.json``."""
        entries = [
            {
                "file_path": f"images/{number:06d}.png",
                "depth_file_path": f"depth/{number:06d}.png",
                "transform_matrix": opengl(camera),
            }
            for number, camera in scan.cameras.items()
        ]
        write_json(folder / "transforms.json", nerfstudio(scan.first, entries))

    @staticmethod
    def write_frame(folder: Path, frame: Frame) -> None:
        """Write the image and the depth of a frame."""
        name = f"{frame.number:06d}.png"
        write_bytes(folder / "images" / name, encode_png(frame.image))
        write_bytes(folder / "depth" / name, encode_depth_png(frame.depth))
