"""Checks of one mask file: what its pixels are besides the two values of a clean mask."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from x3spatial.arrays import Bool, Int64
from x3spatial.io.images import decode_channels
from x3spatial.roots import findings
from x3spatial.roots.findings import Problem

LARGE_SHARE = 0.6
"""A mask of more than this share of the view is noted."""
_LABELS_MOST = 16
"""Masks of more values are not label images, but blurred or compressed ones."""
_EDGE = 2
"""Pixels to each side of an outline in which faint values are soft edges."""
_FAINT_SHARE = 0.02
"""Faint pixels away from the object matter if they are more than this share of it, or widen its box."""
_SPECK = 8
"""A region of another value is a label if it has more pixels."""
_SHOWN = 4


@dataclass(slots=True)
class MaskFacts:
    """Facts about the pixels of one mask file."""

    problems: list[Problem] = field(default_factory=list)
    notes: list[Problem] = field(default_factory=list)
    depth: str = ""
    """Type of its values, such as ``uint8``."""
    peak: int = 0
    """Its highest value; 0 for an empty mask."""
    values: int = 0
    """How many different values above 0 it has."""

    def add(self, found: findings.Finding, path: Path, **details: object) -> None:
        """Add a finding to its list."""
        target = self.notes if found.level is findings.Level.NOTE else self.problems
        target.append(found.at(path, **details))


def check_mask(path: Path, data: bytes) -> MaskFacts:
    """Check a mask by its bytes.

    Raises:
        ImageError: the data is not a readable image.
    """
    raw = decode_channels(data)
    colours = raw[..., None] if raw.ndim == 2 else raw[..., :3]
    level = colours.max(axis=2)
    shape = np.asarray(level > 0)
    facts = MaskFacts(depth=str(raw.dtype), peak=int(level.max()))
    if raw.ndim == 3 and raw.shape[2] == 4:
        _check_alpha(path, shape, raw[..., 3], facts)
    share = float(shape.mean())
    if share == 0 and _palette_varies(data):
        facts.add(findings.MASK_PALETTE_BLACK, path)
    if not facts.problems:
        if share == 1:
            facts.add(findings.MASK_FULL, path)
        elif share > LARGE_SHARE:
            facts.add(findings.MASK_LARGE, path, share=share)
        if share:
            _check_values(path, colours, level, shape, facts)
    return facts


def _check_alpha(path: Path, shape: Bool, alpha: npt.NDArray[Any], facts: MaskFacts) -> None:
    """Look for an outline in the alpha channel that is not that of the colours."""
    seen = np.asarray(alpha > int(alpha.max()) // 2)
    if seen.all() or not seen.any() or (seen == shape).all():
        return
    share, alpha_share = float(shape.mean()), float(seen.mean())
    if share in (0, 1):
        colours = "all above 0" if share else "all 0"
        facts.add(findings.MASK_IN_ALPHA, path, colours=colours, share=alpha_share)
        return
    common = float((shape & seen).sum() / (shape | seen).sum())
    if share > alpha_share and common < 0.5:
        facts.add(findings.MASK_OTHER_THAN_ALPHA, path, share=share, alpha=alpha_share)
    else:
        facts.add(findings.MASK_ALPHA_DIFFERS, path, share=float((shape != seen).mean()))


def _palette_varies(data: bytes) -> bool:
    """Whether a palette image has different indices."""
    with Image.open(io.BytesIO(data)) as image:
        if image.mode != "P":
            return False
        lowest, highest = image.getextrema()
        return bool(lowest != highest)


def _check_values(
    path: Path, colours: npt.NDArray[Any], level: npt.NDArray[Any], shape: Bool, facts: MaskFacts
) -> None:
    """Check the values above 0 of a mask that has any.

    Args:
        path: the mask's file.
        colours: ``[H, W, C]``, C is 1 or 3.
        level: ``[H, W]``, the highest of the channels.
        shape: ``[H, W]``, where ``level`` is above 0.
        facts: receives the number of values and what was found.
    """
    packed, channels = _packed(colours, level)
    values, counts = np.unique(packed[shape], return_counts=True)
    facts.values = len(values)
    if facts.values == 1:
        return
    weak = shape & (level < (facts.peak + 1) // 2)
    strong = shape & ~weak
    size = 2 * _EDGE + 1
    near = cv2.dilate(strong.astype(np.uint8), np.ones((size, size), np.uint8)) > 0
    far = weak & ~near
    if facts.values > _LABELS_MOST:
        if far.sum() > _FAINT_SHARE * strong.sum() or _is_wider(shape, strong):
            facts.add(findings.MASK_FAINT, path, count=int(far.sum()))
        elif weak.any():
            facts.add(findings.MASK_SOFT, path, count=int(weak.sum()))
        return
    shown = _texts(values, channels)
    if far.any() or _separate(packed, shape, int(values[counts.argmax()])):
        facts.add(findings.MASK_LABELS, path, values=shown)
    elif weak.any():
        facts.add(findings.MASK_SOFT, path, count=int(weak.sum()))
    else:
        facts.add(findings.MASK_VALUES, path, values=shown)


def _packed(
    colours: npt.NDArray[Any], level: npt.NDArray[Any]
) -> tuple[npt.NDArray[np.integer[Any]], int]:
    """One number per pixel for its colour, and how many channels it holds: 1 for grey images."""
    if all((colours[..., number] == level).all() for number in range(colours.shape[2])):
        return level, 1
    bits = 8 * colours.dtype.itemsize
    packed = np.zeros(level.shape, np.uint32 if bits == 8 else np.int64)
    for number in range(3):  # red ends in the lowest bits
        packed = (packed << bits) | colours[..., number]
    return packed, 3


def _is_wider(shape: Bool, core: Bool) -> bool:
    """Whether the box of ``shape`` reaches beyond the edge of that of ``core``, both [H, W] and not empty."""

    def box(mask: Bool) -> Int64:
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        return np.array([rows[0], columns[0], rows[-1], columns[-1]], np.int64)

    return bool(np.abs(box(shape) - box(core)).max() > _EDGE)


def _separate(packed: npt.NDArray[np.integer[Any]], shape: Bool, main: int) -> bool:
    """Whether a connected region of the mask has none of its most frequent value ``main``."""
    count, regions = cv2.connectedComponents(shape.astype(np.uint8), connectivity=8)
    with_main = np.unique(regions[packed == main])
    others = np.setdiff1d(np.arange(1, count), with_main)
    return bool((np.bincount(regions.ravel(), minlength=count)[others] > _SPECK).any())


def _texts(values: npt.NDArray[np.integer[Any]], channels: int) -> str:
    """The first values: numbers, or colours as (red, green, blue)."""
    bits = 16 if values.dtype == np.int64 else 8
    shown = []
    for value in values[:_SHOWN].tolist():
        if channels == 1:
            shown.append(str(value))
        else:
            parts = tuple((value >> (bits * number)) & ((1 << bits) - 1) for number in range(3))
            shown.append(str(parts))
    more = len(values) - _SHOWN
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")


def compare_values(masks: dict[Path, MaskFacts]) -> list[tuple[findings.Finding, Path, int, int]]:
    """Compare the highest values of an object's masks with their most frequent one.

    Returns:
        For each mask that differs: the finding, its path, its value and the usual one.
    """
    found = []
    for depth in sorted({facts.depth for facts in masks.values()}):
        peaks = {
            path: facts for path, facts in masks.items() if facts.depth == depth and facts.peak
        }
        if len(peaks) < 2:
            continue
        every = [facts.peak for facts in peaks.values()]
        usual = max(sorted(set(every), reverse=True), key=every.count)
        for path, facts in peaks.items():
            if facts.peak == usual:
                continue
            if facts.values > 1 and 2 * facts.peak < usual:
                found.append((findings.MASK_FAINT_ONLY, path, facts.peak, usual))
            elif facts.values == 1 and max(facts.peak, usual) >= 2 * min(facts.peak, usual):
                found.append((findings.MASK_OTHER_VALUE, path, facts.peak, usual))
    return found
