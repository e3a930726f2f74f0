"""Making data roots for tests."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from x3spatial.io.images import encode_mask_png, encode_png


def photo(seed: int, width: int = 64, height: int = 48) -> npt.NDArray[np.uint8]:
    """A picture-like image: smooth noise with no two pixels alike enough to fool a comparison."""
    noise = np.random.default_rng(seed).uniform(0, 255, (height, width, 3)).astype(np.float32)
    return cv2.GaussianBlur(noise, (0, 0), 1.5).astype(np.uint8)


def box_mask(
    x0: int, y0: int, x1: int, y1: int, width: int = 64, height: int = 48
) -> npt.NDArray[np.bool_]:
    """True for columns x0..x1 and rows y0..y1, both inclusive."""
    mask = np.zeros((height, width), dtype=bool)
    mask[y0 : y1 + 1, x0 : x1 + 1] = True
    return mask


def write_view(
    folder: Path,
    rank: int,
    mask: npt.NDArray[np.bool_],
    *,
    frame: str | None = None,
    dilated: npt.NDArray[np.bool_] | None = None,
    seed: int = 0,
) -> str:
    """Write one view's four files; returns their common prefix."""
    folder.mkdir(parents=True, exist_ok=True)
    height, width = mask.shape
    prefix = f"{rank:02d}_{frame or f'{rank * 10:06d}'}"
    # The folder's name goes in, so that no two objects share image bytes.
    image = photo(hash_text(f"{folder.parts[-3:]}{rank}{seed}"), width, height)
    removed = image.copy()
    removed[mask] = 255 - removed[mask]
    (folder / f"{prefix}_original.png").write_bytes(encode_png(image))
    (folder / f"{prefix}_inpainted.png").write_bytes(encode_png(removed))
    (folder / f"{prefix}_mask.png").write_bytes(encode_mask_png(mask))
    wide = mask if dilated is None else dilated
    (folder / f"{prefix}_mask_dialated.png").write_bytes(encode_mask_png(wide))
    return prefix


def hash_text(text: str) -> int:
    """A seed from a text, the same in every process."""
    import zlib

    return zlib.crc32(text.encode())


def make_root(
    root: Path,
    *,
    splits: tuple[str, ...] = ("train", "validation"),
    scenes: int = 1,
    objects: int = 2,
    views: int = 3,
) -> Path:
    """A clean root; view 3 of every object does not show it."""
    for split in splits:
        for scene in range(scenes):
            for uid in range(objects):
                folder = root / split / f"{split}_{scene}" / f"uid_{uid}"
                for rank in range(1, views + 1):
                    x = 5 + 9 * rank % 40
                    mask = box_mask(x, 10, x + 9, 20)
                    write_view(folder, rank, mask & (rank != 3))
    return root


def make_photos(folder: Path) -> Path:
    """Four photographs of one room for ``x3 import photos``, with masks of one object; one lacks it."""
    for number in range(1, 5):
        for kind in ("images", "masks/cup"):
            (folder / kind).mkdir(parents=True, exist_ok=True)
        shown = np.zeros((48, 64), bool)
        if number < 4:
            shown[10:22, 9 * number : 9 * number + 12] = True
        image = photo(number)
        image[shown] = 250
        (folder / "images" / f"p{number}.png").write_bytes(encode_png(image))
        (folder / "masks" / "cup" / f"p{number}.png").write_bytes(encode_mask_png(shown))
    return folder


def tree_bytes(folder: Path, *, hidden: bool = False) -> dict[str, bytes]:
    """Relative path → content of every file; files with a leading dot only if ``hidden``."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and (hidden or not path.name.startswith("."))
    }
