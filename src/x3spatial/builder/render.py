"""The two images that a build makes: the marked reference and the side-by-side pair."""

from __future__ import annotations

import numpy as np

from x3spatial.arrays import Bool, UInt8
from x3spatial.io.images import resize_rgb
from x3spatial.roots.crops import draw_part

MARK_RGB = (255, 0, 0)


def mark(image: UInt8, mask: Bool, alpha: float) -> UInt8:
    """A copy of ``image`` [H, W, 3] with a red overlay of opacity ``alpha`` where ``mask`` [H, W].

    Pixels outside the mask keep their exact values.
    """
    levels = np.arange(256)
    marked = image.copy()
    rows = np.flatnonzero(mask.any(axis=1))
    if rows.size == 0:
        return marked
    band = slice(int(rows[0]), int(rows[-1]) + 1)
    inside = mask[band]
    for channel, colour in enumerate(MARK_RGB):
        table = np.rint((1.0 - alpha) * levels + alpha * colour).astype(np.uint8)
        plane = marked[band, :, channel]
        plane[inside] = table[plane[inside]]
    return marked


def close_up(image: UInt8, mask: Bool, times: tuple[float, float], draw_seed: int) -> UInt8:
    """The part of ``image`` [H, W, 3] around the object, as large as the whole: a view from nearer.

    Size and place are drawn (``draw_part``).

    Args:
        image: the marked view.
        mask: [H, W], some of it true.
        times: least and most, from 1 on.
        draw_seed: of the draws.
    """
    height, width = mask.shape
    part = draw_part(mask, times, np.random.default_rng(draw_seed))
    return resize_rgb(np.ascontiguousarray(image[part]), width, height)


def side_by_side(reference: UInt8, query: UInt8) -> UInt8:
    """``reference`` [H, W, 3] on the left, ``query`` on the right, resized to it where sizes differ.

    The result is [H, 2W, 3]: each half is exactly half the width and the full height.
    """
    height, width = reference.shape[:2]
    return np.concatenate([reference, resize_rgb(query, width, height)], axis=1)
