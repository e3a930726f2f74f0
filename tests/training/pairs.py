"""Small Task1 pairs with masks, and a small random checkpoint that can learn them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

SIDE = 64


def make_pairs(folder: Path, count: int, *, hidden: int = 0, seed: int = 0) -> Path:
    """A task file of ``count`` pairs, the last ``hidden`` of them NOT_VISIBLE; paths are absolute."""
    random = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for number in range(count):
        colour = random.integers(40, 256, 3)
        pictures = []
        for view in "ab":
            picture = np.full((SIDE, SIDE, 3), random.integers(0, 120, 3), np.uint8)
            x, y = random.integers(4, SIDE - 20, 2)
            mask = np.zeros((SIDE, SIDE), np.uint8)
            mask[y : y + 16, x : x + 16] = 255
            visible = view == "a" or number < count - hidden
            if visible:
                picture[mask > 0] = colour
            path = folder / f"{number:02d}_{view}_original.png"
            Image.fromarray(picture).save(path)
            mask_path = folder / f"{number:02d}_{view}_mask.png"
            Image.fromarray(mask if visible else mask * 0).save(mask_path)
            pictures.append(str(path))
        answer = f"[({(x + 8) / SIDE:.3f}, {(y + 8) / SIDE:.3f})]" if visible else "NOT_VISIBLE"
        made.append(
            {
                "id": f"pair{number}",
                "task": "t1_multi",
                "image": pictures,
                "query_original": pictures[1],
                "query_mask": str(mask_path),
                "query_mask_kind": "tight",
                "scene": f"s{number}",
                "uid": "1",
                "conversations": [
                    {"from": "human", "value": "Where is it? [(x, y)] or NOT_VISIBLE"},
                    {"from": "gpt", "value": answer},
                ],
            }
        )
    path = folder / "pairs.json"
    path.write_text(json.dumps(made))
    return path


def make_trainable(out: Path) -> Path:
    """About 0.6 M parameters. Position embeddings as strong as the content: weaker ones teach nothing."""
    from safetensors.torch import load_file, save_file

    from x3spatial.models.roborefer.tiny import Size, make_tiny

    make_tiny(out=out, size=Size((96, 3, 4, 256), 2, (64, 4, 4, 128), 112), depth=False)
    file = out / "vision_tower" / "model.safetensors"
    values: dict[str, Any] = load_file(file)
    values["vision_model.embeddings.position_embedding.weight"] *= 20  # from 0.05 to 1
    save_file(values, file, {"format": "pt"})
    return out
