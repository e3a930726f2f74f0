"""Roots of rooms whose pixels show ids, with the ``scene.json`` that says the same."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np

from helpers.roots import box_mask
from x3spatial.io.images import encode_mask_png, encode_png

WIDTH, HEIGHT = 48, 32


def painted_root(folder: Path, scenes: int, objects: int = 4, views: int = 4) -> Path:
    """Rooms whose images show ids: each object is one colour, in some frames, or hidden, or outside."""
    for number in range(scenes):
        rng = random.Random(number)
        frames = [f"{10 * k:06d}" for k in range(1, views + 4)]
        images: dict[str, Any] = {}
        sights: dict[str, dict[str, Any]] = {str(uid): {} for uid in range(1, objects + 1)}
        for frame in frames:
            ids = np.zeros((HEIGHT, WIDTH), int)
            for uid in range(1, objects + 1):
                if rng.random() < 0.5:
                    x, y = rng.randrange(WIDTH - 12), rng.randrange(HEIGHT - 10)
                    ids[
                        box_mask(
                            x, y, x + rng.randrange(1, 12), y + rng.randrange(1, 10), WIDTH, HEIGHT
                        )
                    ] = uid
            images[frame] = ids
            for uid in range(1, objects + 1):
                pixels = int((ids == uid).sum())
                reason = rng.choice(["framing", "occlusion", "both"]) if pixels == 0 else None
                sights[str(uid)][frame] = {
                    "pixels": pixels, "visible_fraction": None, "in_frame_fraction": None,
                    "absent_by": reason,
                }  # fmt: skip
        scene = folder / "validation" / f"room_{number:02d}"
        for uid in range(1, objects + 1):
            shown = [frame for frame in frames if (images[frame] == uid).any()]
            if not shown:
                continue
            others = [frame for frame in frames if frame != shown[0]]
            for rank, frame in enumerate([shown[0], *rng.sample(others, views - 1)], start=1):
                place = scene / f"uid_{uid}"
                place.mkdir(parents=True, exist_ok=True)
                ids = images[frame]
                picture = np.stack([ids * 20, ids * 10, np.full_like(ids, number * 3)], -1)
                stem = place / f"{rank:02d}_{frame}"
                encoded = encode_png(picture.astype(np.uint8))
                stem.with_name(stem.name + "_original.png").write_bytes(encoded)
                stem.with_name(stem.name + "_inpainted.png").write_bytes(encoded)
                mask = encode_mask_png(ids == uid)
                stem.with_name(stem.name + "_mask.png").write_bytes(mask)
        about: dict[str, Any] = {
            "format": 2,
            "frames": {f: {"camera_to_world": np.eye(4).tolist()} for f in frames},
            "objects": [
                {
                    "uid": uid,
                    "label": "box",
                    "kind": f"kind{uid % 2}",
                    "box": [[uid, 0, 1], [uid, 1, 2]],
                    "views": None,
                }
                for uid in range(1, objects + 1)
            ],
            "visibility": sights,
            "pixels": {
                f: {str(u): int((ids == u).sum()) for u in range(1, objects + 1)}
                for f, ids in images.items()
            },
        }
        (scene / "scene.json").write_text(json.dumps(about))
    return folder
