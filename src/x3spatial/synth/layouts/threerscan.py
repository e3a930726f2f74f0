"""3RScan: a reference scan of each room, and rescans in which objects have been removed."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from x3spatial.arrays import Float64
from x3spatial.io.files import write_bytes, write_json, write_text
from x3spatial.io.images import encode_jpeg, encode_pgm
from x3spatial.io.ply import write_ply
from x3spatial.synth.layouts.annotations import groups, segments
from x3spatial.synth.layouts.base import Layout, first_scan, path_cameras, side_of_split
from x3spatial.synth.layouts.cameras import intrinsics, matrix_text
from x3spatial.synth.layouts.scan import Frame, Scan, take_scan
from x3spatial.synth.options import SceneOptions
from x3spatial.synth.plan import Plan

_QUALITY = 95
_RESCANS = 2
_SPLITS = {"train": "train", "val": "validation", "test": "test"}


class ThreeRScan(Layout):
    """``SCAN/``: mesh with ``objectId``, groups, and ``sequence/``; ``3RScan.json`` relates the scans."""

    depth_width = 224
    folders = ("sequence",)

    def name(self, split: str, index: int) -> str:
        """A UUID."""
        return self.names(split, index)[0]

    def names(self, split: str, index: int) -> tuple[str, ...]:
        """The reference scan, then its rescans."""
        return tuple(
            str(uuid.uuid5(uuid.NAMESPACE_URL, f"x3spatial/{split}/{index}/{visit}"))
            for visit in range(1 + _RESCANS)
        )

    def folder(self, root: Path, split: str, name: str) -> Path:
        """``NAME``, whatever the split."""
        return root / name

    def scans(
        self, split: str, index: int, options: SceneOptions, plan: Plan, frames: int
    ) -> Iterator[Scan]:
        """Each rescan has its own path and coordinates, and lacks its share of the targets."""
        reference, *rescans = self.names(split, index)
        yield first_scan(reference, split, index, options, plan, frames)
        targets = [choice.uid for choice in plan.choices]
        for visit, name in enumerate(rescans, start=1):
            yield take_scan(
                name,
                split,
                options,
                plan,
                path_cameras(split, index, options, plan, frames, visit),
                removed=targets[visit - 1 :: _RESCANS],
                to_scan=_start(visit),
            )

    def write(self, folder: Path, scan: Scan, frames: Iterator[Frame]) -> None:
        """The sequence is a folder, not a zip; frames are numbered from 0 without gaps."""
        mesh, camera = scan.mesh, scan.first
        write_ply(
            folder / "labels.instances.annotated.v2.ply",
            mesh.vertices,
            mesh.faces,
            {
                **{c: mesh.colour[:, k] for k, c in enumerate(("red", "green", "blue"))},
                "objectId": mesh.instance.astype(np.uint16),
            },
        )
        segment = segments(mesh)
        write_json(folder / "mesh.refined.0.010000.segs.json", {"segIndices": segment.tolist()})
        write_json(
            folder / "semseg.v2.json",
            {"scan_id": scan.name, "segGroups": groups(mesh, segment, scan.instances, 1)},
        )
        size = scan.depth_size(self.depth_width)
        lines = [
            "m_versionNumber = 4",
            "m_sensorName = x3spatial",
            f"m_colorWidth = {camera.width}",
            f"m_colorHeight = {camera.height}",
            f"m_depthWidth = {size[0]}",
            f"m_depthHeight = {size[1]}",
            "m_depthShift = 1000",
            f"m_calibrationColorIntrinsic = {_row(intrinsics(camera, camera.width, camera.height))}",
            f"m_calibrationColorExtrinsic = {_row(np.eye(4))}",
            f"m_calibrationDepthIntrinsic = {_row(intrinsics(camera, *size))}",
            f"m_calibrationDepthExtrinsic = {_row(np.eye(4))}",
            f"m_frames.size = {len(scan.cameras)}",
        ]
        sequence = folder / "sequence"
        write_text(sequence / "_info.txt", "\n".join(lines) + "\n")
        for number, frame in enumerate(frames):
            stem = f"frame-{number:06d}"
            write_bytes(sequence / f"{stem}.color.jpg", encode_jpeg(frame.image, _QUALITY))
            write_bytes(sequence / f"{stem}.depth.pgm", encode_pgm(frame.depth))
            write_text(sequence / f"{stem}.pose.txt", matrix_text(frame.camera.pose()))

    def write_index(self, root: Path, scans: Sequence[Mapping[str, Any]]) -> None:
        """``3RScan.json``: transforms map a rescan's coordinates to the reference's, column by column."""
        rooms: dict[str, list[Mapping[str, Any]]] = {}
        for scan in scans:
            rooms.setdefault(scan["room"], []).append(scan)
        entries = []
        for reference, *rescans in rooms.values():
            entries.append(
                {
                    "reference": reference["name"],
                    "type": _SPLITS[side_of_split(reference["split"])],
                    "ambiguity": [],
                    "scans": [
                        {
                            "reference": rescan["name"],
                            "transform": np.linalg.inv(rescan["to_scan"]).T.reshape(-1).tolist(),
                            "removed": rescan["removed"],
                            "rigid": [],
                            "nonrigid": [],
                        }
                        for rescan in rescans
                    ],
                }
            )
        write_json(root / "3RScan.json", entries)


def _start(visit: int) -> Float64:
    """Where a visit's coordinates lie in the room's, ``[4, 4]``: turned about z and shifted."""
    angle = 0.7 * visit
    move = np.eye(4)
    move[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    move[:3, 3] = [0.8 * visit, -1.1 * visit, 0.05 * visit]
    return move


def _row(matrix: Float64) -> str:
    whole = np.eye(4)
    whole[: matrix.shape[0], : matrix.shape[1]] = matrix
    return " ".join(repr(float(v)) for v in whole.reshape(-1))
