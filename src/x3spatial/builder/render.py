"""Rendering of the images that a build makes: marked reference views and side-by-side pairs."""

from __future__ import annotations

import numpy as np

from x3spatial.arrays import Bool, UInt8
from x3spatial.io.images import resize_rgb
from x3spatial.roots.crops import draw_crop

MARK_RGB = (255, 0, 0)


def mark(image: UInt8, mask: Bool, alpha: float) -> UInt8:
    """Return a copy of ``image`` with a red overlay on ``mask``; other pixels keep their values.

    Args:
        image: [H, W, 3] RGB.
        mask: [H, W].
        alpha: opacity of the overlay, above 0 and at most 1.
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


def crop_reference(image: UInt8, mask: Bool, times: tuple[float, float], draw_seed: int) -> UInt8:
    """Crop a marked view around its object and resize the crop to the size of the view.

    ``draw_crop`` draws the size and the position of the crop.

    Args:
        image: the marked view, [H, W, 3] RGB.
        mask: [H, W], not empty.
        times: smallest and largest crop as a multiple of the object's extent, each at least 1.
        draw_seed: seed of the draws.

    Returns:
        [H, W, 3] RGB.
    """
    height, width = mask.shape
    crop = draw_crop(mask, times, np.random.default_rng(draw_seed))
    return resize_rgb(np.ascontiguousarray(image[crop]), width, height)


def side_by_side(reference: UInt8, query: UInt8) -> UInt8:
    """Place ``reference`` on the left and ``query`` on the right of one image.

    Args:
        reference: [H, W, 3] RGB.
        query: [h, w, 3] RGB; resized to [H, W, 3] if the sizes differ.

    Returns:
        [H, 2W, 3]: each half has exactly half the width and the full height.
    """
    height, width = reference.shape[:2]
    return np.concatenate([reference, resize_rgb(query, width, height)], axis=1)
