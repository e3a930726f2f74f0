"""Writing views into a data root: file names, dilated masks and label files, for every maker of roots."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from x3spatial.arrays import Bool
from x3spatial.io.files import write_bytes, write_json
from x3spatial.io.images import encode_mask_png

_MARGIN = 0.02
"""Pixels by which a mask is dilated, as a share of the image's width."""


@dataclass(frozen=True, slots=True)
class EncodedView:
    """The files of one view. ``original`` and ``inpainted`` are PNG or JPEG files."""

    original: bytes
    mask: Bool
    """Visible pixels of the object, ``[H, W]``."""
    inpainted: bytes | None = None
    depth: bytes | None = None
    """16-bit PNG in millimetres."""


def margin_of(width: int) -> int:
    """Pixels by which masks of an image of this width are dilated."""
    return round(_MARGIN * width)


def dilate(mask: Bool, margin: int) -> Bool:
    """Dilate a mask [H, W] by a square that reaches ``margin`` pixels to every side."""
    for axis in (0, 1):
        # Window sums as differences of cumulative sums: the cost does not grow with the margin.
        sums = np.cumsum(mask, axis=axis, dtype=np.int32)
        pad = [(0, 0), (0, 0)]
        pad[axis] = (margin + 1, margin)
        sums = np.pad(sums, pad, mode="edge")
        first = [slice(None), slice(None)]
        first[axis] = slice(0, margin + 1)
        sums[tuple(first)] = 0
        size = mask.shape[axis]
        ahead = np.take(sums, np.arange(size) + 2 * margin + 1, axis=axis)
        behind = np.take(sums, np.arange(size), axis=axis)
        mask = ahead > behind
    return mask


def write_view(folder: Path, rank: int, frame: str, view: EncodedView) -> None:
    """Write the files of a view into an object's folder, the masks tight and dilated."""
    stem = f"{rank:02d}_{frame}"

    def image(kind: str, data: bytes) -> None:
        ending = "jpg" if data.startswith(b"\xff\xd8") else "png"
        write_bytes(folder / f"{stem}_{kind}.{ending}", data)

    image("original", view.original)
    if view.inpainted is not None:
        image("inpainted", view.inpainted)
    write_bytes(folder / f"{stem}_mask.png", encode_mask_png(view.mask))
    wide = dilate(view.mask, margin_of(view.mask.shape[1]))
    write_bytes(folder / f"{stem}_mask_dialated.png", encode_mask_png(wide))
    if view.depth is not None:
        write_bytes(folder / f"{stem}_depth.png", view.depth)


def write_label(
    scene_folder: Path, scene: str, uid: int | str, label: str, frames: Sequence[str]
) -> None:
    """Write the label file of an object: its label, and its frames in order of rank."""
    note = {"scene": scene, "uid": uid, "label": label, "frames": list(frames)}
    write_json(scene_folder / f"uid_{uid}" / f"{scene}_uid_{uid}_five_frames.json", note)
