"""Masks from polygons and from run lengths (COCO's RLE)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from x3spatial.arrays import Bool, Float64


def polygon_mask(polygons: Sequence[Float64], width: int, height: int) -> Bool:
    """The pixels ``[H, W]`` whose centre lies in one of the polygons (each ``[n, 2]``, in pixels).

    A polygon that crosses itself is filled by the even-odd rule.
    """
    found = np.zeros((height, width), np.bool_)
    for polygon in polygons:
        # Every edge toggles the pixels to its right in the rows whose centre line it crosses.
        toggles = np.zeros((height, width + 1), np.int32)
        for (x0, y0), (x1, y1) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
            if y0 == y1:
                continue
            first, last = np.ceil(np.array([min(y0, y1), max(y0, y1)]) - 0.5).astype(np.int64)
            rows = np.arange(np.clip(first, 0, height), np.clip(last, 0, height))
            crossing = x0 + (rows + 0.5 - y0) / (y1 - y0) * (x1 - x0)
            columns = np.clip(np.ceil(crossing - 0.5), 0, width).astype(np.int64)
            np.add.at(toggles, (rows, columns), 1)
        found |= np.cumsum(toggles[:, :width], axis=1) % 2 == 1
    return found


def rle_mask(counts: Any, width: int, height: int) -> Bool:
    """The mask ``[H, W]`` of COCO's run lengths: column by column, starting with a run of zeros.

    Args:
        counts: a list of run lengths, or COCO's compressed text.
        width: of the mask, in pixels.
        height: of the mask, in pixels.

    Raises:
        ValueError: the runs are malformed, or do not fill the mask exactly.
    """
    if isinstance(counts, str | bytes):
        counts = _decompress(counts.encode() if isinstance(counts, str) else counts)
    runs = np.asarray(counts)
    if runs.ndim != 1 or (len(runs) and runs.dtype.kind not in "iu"):
        raise ValueError("RLE counts are not a list of whole numbers")
    if len(runs) and (runs.min() < 0 or runs.max() > width * height):
        raise ValueError("an RLE count is out of range")
    if int(runs.sum()) != width * height:
        raise ValueError(
            f"RLE counts add up to {int(runs.sum())} pixels, the size {width}x{height} to"
            f" {width * height}"
        )
    values = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return np.ascontiguousarray(values.reshape(width, height).T)


def _decompress(text: bytes) -> list[int]:
    """Run lengths of COCO's text: base 32 digits offset by 48, deltas to the count before the last."""
    counts: list[int] = []
    value = shift = 0
    for char in text:
        digit = char - 48
        if not 0 <= digit < 64 or shift > 60:
            raise ValueError("compressed RLE counts are malformed")
        value |= (digit & 31) << shift
        shift += 5
        if digit & 32:
            continue
        if digit & 16:
            value -= 1 << shift
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
        value = shift = 0
    if shift:
        raise ValueError("compressed RLE counts are cut short")
    return counts


def compress(mask: Bool) -> str:
    """COCO's compressed text of a mask ``[H, W]``: the inverse of ``rle_mask``."""
    flat = mask.T.reshape(-1)
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    counts = np.diff(np.concatenate([[0], changes, [flat.size]])).tolist()
    if flat.size and flat[0]:
        counts = [0, *counts]
    text = []
    for place, count in enumerate(counts):
        value = count - counts[place - 2] if place > 2 else count
        while True:
            digit = value & 31
            value >>= 5
            if value in (0, -1) and bool(digit & 16) == (value == -1):
                text.append(chr(digit + 48))
                break
            text.append(chr((digit | 32) + 48))
    return "".join(text)
