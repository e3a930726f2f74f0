"""As ``transforms``, but with the instances in COCO's format: RLE masks with track ids."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from x3spatial.arrays import Bool
from x3spatial.io.files import write_json
from x3spatial.synth.layouts.scan import Frame, Scan
from x3spatial.synth.layouts.transforms import Transforms


class Coco(Transforms):
    """``SPLIT/SCENE/{transforms.json,annotations.json,images,depth}``."""

    folders = ("images", "depth")

    def write(self, folder: Path, scan: Scan, frames: Iterator[Frame]) -> None:
        """The ``track_id`` of an object is its uid in all images."""
        self.write_cameras(folder, scan)
        parts = {p.id: p for p in scan.instances if p.id <= scan.world.geometry.objects}
        categories = {
            kind: number for number, kind in enumerate(sorted({p.kind for p in parts.values()}), 1)
        }
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        for number, frame in enumerate(frames, start=1):
            self.write_frame(folder, frame)
            height, width = frame.owner.shape
            name = f"images/{frame.number:06d}.png"
            images.append({"id": number, "file_name": name, "width": width, "height": height})
            for uid in np.unique(frame.owner).tolist():
                if uid in parts:
                    annotations.append(
                        {
                            "id": len(annotations) + 1,
                            "image_id": number,
                            "category_id": categories[parts[uid].kind],
                            "track_id": uid,
                            "label": parts[uid].label,
                            "iscrowd": 0,
                            **_described(frame.owner == uid),
                        }
                    )
        write_json(
            folder / "annotations.json",
            {
                "images": images,
                "categories": [{"id": n, "name": kind} for kind, n in categories.items()],
                "annotations": annotations,
            },
        )


def _described(mask: Bool) -> dict[str, Any]:
    """Segmentation, bounding box (x, y, width, height) and area of a mask."""
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    left, top = int(columns[0]), int(rows[0])
    return {
        "segmentation": {"size": list(mask.shape), "counts": rle(mask)},
        "bbox": [left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top],
        "area": int(mask.sum()),
    }


def rle(mask: Bool) -> str:
    """COCO's compressed run lengths of a mask ``[H, W]``: down the columns, beginning with zeros.

    From the third on, a run is stored as its difference from the one before the last, in groups of 5 bits
    with a sign, each as a character from ``0`` on.
    """
    flat = np.concatenate([[False], mask.reshape(-1, order="F")])
    ends = np.flatnonzero(np.diff(flat.astype(np.int8)))
    runs = np.diff(np.concatenate([[0], ends, [mask.size]])).tolist()
    if len(runs) > 1 and runs[-1] == 0:
        runs.pop()
    text: list[str] = []
    for place, run in enumerate(runs):
        value = run - runs[place - 2] if place > 2 else run
        while True:
            group, value = value & 31, value >> 5
            last = value == (-1 if group & 16 else 0)
            text.append(chr(48 + group + (0 if last else 32)))
            if last:
                break
    return "".join(text)
