"""ScanNet v2, with the frames extracted from its ``.sens`` file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from x3spatial.io.files import write_bytes, write_json, write_text
from x3spatial.io.images import encode_depth_png, encode_jpeg
from x3spatial.io.ply import write_ply
from x3spatial.synth.layouts.annotations import groups, segments
from x3spatial.synth.layouts.base import Layout, side_of_split
from x3spatial.synth.layouts.cameras import intrinsics, matrix_text
from x3spatial.synth.layouts.scan import Frame, Scan

_QUALITY = 95
_NUMBERS = {"train": 0, "validation": 3000, "val": 3000, "test": 6000}
"""Scene numbers start here, so that names are unique over the splits."""


class ScanNet(Layout):
    """``scans/sceneNNNN_00/``: mesh, segments, groups, and ``color depth pose intrinsic``."""

    depth_width = 640
    folders = ("intrinsic", "color", "depth", "pose")

    def name(self, split: str, index: int) -> str:
        """``sceneNNNN_00``."""
        return f"scene{_NUMBERS[split] + index:04d}_00"

    def folder(self, root: Path, split: str, name: str) -> Path:
        """``scans/NAME``."""
        return root / "scans" / name

    def write(self, folder: Path, scan: Scan, frames: Iterator[Frame]) -> None:
        """Object ids count from 0, as in ScanNet."""
        mesh, name, camera = scan.mesh, scan.name, scan.first
        write_ply(
            folder / f"{name}_vh_clean_2.ply",
            mesh.vertices,
            mesh.faces,
            {
                **{c: mesh.colour[:, k] for k, c in enumerate(("red", "green", "blue"))},
                "alpha": np.full(len(mesh.vertices), 255, np.uint8),
            },
        )
        segment = segments(mesh)
        segments_file = f"{name}_vh_clean_2.0.010000.segs.json"
        write_json(
            folder / segments_file,
            {
                "params": {"kThresh": "0.0001", "segMinVerts": "20"},
                "sceneId": name,
                "segIndices": segment.tolist(),
            },
        )
        write_json(
            folder / f"{name}.aggregation.json",
            {
                "sceneId": f"scannet.{name}",
                "appId": "Aggregator.v2",
                "segGroups": groups(mesh, segment, scan.instances, 0),
                "segmentsFile": f"scannet.{segments_file}",
            },
        )
        size = scan.depth_size(self.depth_width)
        for kind, pixels in (("color", (camera.width, camera.height)), ("depth", size)):
            matrix = np.eye(4)
            matrix[:3, :3] = intrinsics(camera, *pixels)
            write_text(folder / "intrinsic" / f"intrinsic_{kind}.txt", matrix_text(matrix))
            write_text(folder / "intrinsic" / f"extrinsic_{kind}.txt", matrix_text(np.eye(4)))
        numbers = " ".join(f"{v:.6f}" for v in np.eye(4).reshape(-1))
        write_text(
            folder / f"{name}.txt",
            f"axisAlignment = {numbers}\n"
            f"colorHeight = {camera.height}\ncolorWidth = {camera.width}\n"
            f"depthHeight = {size[1]}\ndepthWidth = {size[0]}\n"
            f"numColorFrames = {len(scan.cameras)}\nnumDepthFrames = {len(scan.cameras)}\n",
        )
        for frame in frames:
            write_bytes(
                folder / "color" / f"{frame.number}.jpg", encode_jpeg(frame.image, _QUALITY)
            )
            write_bytes(folder / "depth" / f"{frame.number}.png", encode_depth_png(frame.depth))
            write_text(folder / "pose" / f"{frame.number}.txt", matrix_text(frame.camera.pose()))

    def write_index(self, root: Path, scans: Sequence[Mapping[str, Any]]) -> None:
        """``scannetv2_train.txt`` and so on."""
        for split in ("train", "val", "test"):
            names = [s["name"] for s in scans if side_of_split(s["split"]) == split]
            if names:
                write_text(root / f"scannetv2_{split}.txt", "\n".join(names) + "\n")
