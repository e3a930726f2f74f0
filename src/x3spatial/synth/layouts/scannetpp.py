"""ScanNet++ v2, iPhone, with the frames extracted from its videos."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from x3spatial.arrays import Bool, UInt8
from x3spatial.io.files import write_bytes, write_json, write_text
from x3spatial.io.images import encode_depth_png, encode_jpeg, encode_mask_png
from x3spatial.io.ply import write_ply
from x3spatial.synth.layouts.annotations import groups, segments
from x3spatial.synth.layouts.base import PATH_START, PATH_STEP, Layout, side_of_split
from x3spatial.synth.layouts.cameras import (
    colmap_cameras,
    colmap_images,
    intrinsics,
    nerfstudio,
    opengl,
)
from x3spatial.synth.layouts.scan import Frame, Scan

_QUALITY = 95
_ANONYMISED = 10
"""One frame of the path in this many has an anonymised (blurred) part."""
_SPLITS = {"train": "nvs_sem_train", "val": "nvs_sem_val", "test": "nvs_test"}


class ScanNetPP(Layout):
    """``data/SCENE/{scans,iphone}``; in some frames a part is blurred and masked, as faces are."""

    depth_width = 256
    folders = (
        "scans",
        "iphone/colmap",
        "iphone/nerfstudio",
        "iphone/rgb",
        "iphone/rgb_masks",
        "iphone/depth",
    )

    def name(self, split: str, index: int) -> str:
        """Ten hexadecimal digits."""
        digest = hashlib.sha256(f"{split}/{index}".encode()).hexdigest()
        return digest[:10]

    def folder(self, root: Path, split: str, name: str) -> Path:
        """``data/NAME``."""
        return root / "data" / name

    def write(self, folder: Path, scan: Scan, frames: Iterator[Frame]) -> None:
        """Everything of the scan and of the iPhone but videos, ``depth.bin`` and sensor readings."""
        self._write_scan(folder / "scans", scan)
        phone, camera = folder / "iphone", scan.first
        named = {f"frame_{number:06d}": camera for number, camera in scan.cameras.items()}
        write_text(phone / "colmap" / "cameras.txt", colmap_cameras(camera))
        write_text(
            phone / "colmap" / "images.txt",
            colmap_images((f"{name}.jpg", camera) for name, camera in named.items()),
        )
        write_text(phone / "colmap" / "points3D.txt", "# 3D point list: empty\n")
        entries = [
            {"file_path": f"{name}.jpg", "transform_matrix": opengl(camera), "is_bad": False}
            for name, camera in named.items()
        ]
        write_json(phone / "nerfstudio" / "transforms.json", nerfstudio(camera, entries))
        matrix = intrinsics(camera, camera.width, camera.height).tolist()
        write_json(
            phone / "pose_intrinsic_imu.json",
            {
                name: {
                    "timestamp": number / 60,
                    "pose": camera.pose().tolist(),
                    "intrinsic": matrix,
                    "aligned_pose": camera.pose().tolist(),
                }
                for number, (name, camera) in zip(scan.cameras, named.items(), strict=True)
            },
        )
        for frame in frames:
            name = f"frame_{frame.number:06d}"
            keep = _kept(frame)
            image = frame.image if keep.all() else _blurred(frame.image, keep)
            write_bytes(phone / "rgb" / f"{name}.jpg", encode_jpeg(image, _QUALITY))
            write_bytes(phone / "rgb_masks" / f"{name}.png", encode_mask_png(keep))
            write_bytes(phone / "depth" / f"{name}.png", encode_depth_png(frame.depth))

    def _write_scan(self, folder: Path, scan: Scan) -> None:
        mesh = scan.mesh
        colours = {c: mesh.colour[:, k] for k, c in enumerate(("red", "green", "blue"))}
        write_ply(folder / "mesh_aligned_0.05.ply", mesh.vertices, mesh.faces, colours)
        segment = segments(mesh)
        write_json(folder / "segments.json", {"sceneId": scan.name, "segIndices": segment.tolist()})
        write_json(
            folder / "segments_anno.json",
            {"sceneId": scan.name, "segGroups": groups(mesh, segment, scan.instances, 1)},
        )
        write_text(folder / "mesh_aligned_0.05_mask.txt", "")

    def write_index(self, root: Path, scans: Sequence[Mapping[str, Any]]) -> None:
        """``splits/*.txt`` and ``metadata/instance_classes.txt``."""
        for folder in ("splits", "metadata"):
            (root / folder).mkdir(exist_ok=True)
        for side, file in _SPLITS.items():
            names = [s["name"] for s in scans if side_of_split(s["split"]) == side]
            if names:
                write_text(root / "splits" / f"{file}.txt", "\n".join(names) + "\n")
        classes = sorted({label for scan in scans for label in scan["classes"]})
        write_text(root / "metadata" / "instance_classes.txt", "\n".join(classes) + "\n")
        write_text(root / "metadata" / "semantic_classes.txt", "\n".join(classes) + "\n")


def _kept(frame: Frame) -> Bool:
    """The pixels that are not anonymised, ``[H, W]``."""
    height, width = frame.image.shape[:2]
    keep = np.ones((height, width), np.bool_)
    number = (frame.number - PATH_START) // PATH_STEP
    if frame.number >= PATH_START and number % _ANONYMISED == _ANONYMISED - 1:
        keep[height // 3 : height // 2, width // 3 : 2 * width // 3] = False
    return keep


def _blurred(image: UInt8, keep: Bool) -> UInt8:
    soft = cv2.GaussianBlur(image, (0, 0), max(2.0, image.shape[1] / 40))
    return np.where(keep[:, :, None], image, soft).astype(np.uint8)
