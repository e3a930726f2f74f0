"""The images of pairs that may or may not differ by an object: recoloured slightly, with decoys.

Both kinds of pairs of a view are made alike, so that neither equal bytes nor the kind of file tells them
apart: the second image of each is recoloured by the same random curve, and all images are JPEG files. A decoy
is a hole of the object's shape that is filled at a place without the object: "find any edit" then finds one
in both kinds of pairs.
"""

from __future__ import annotations

import cv2
import numpy as np

from x3spatial.arrays import Bool, UInt8

GAIN, SHIFT = 0.02, 2.0
"""Largest change of a colour channel: a factor of 1 ± GAIN, and ± SHIFT on a scale of 0 to 255."""
MARGIN = 0.01
"""Distance between a decoy and the object, and width by which its hole exceeds the object's shape, as a share
of the image's width."""
TRIES = 200


def recolour(image: UInt8, seed: int) -> UInt8:
    """The image ``[H, W, 3]`` with a random factor and shift of each channel; see ``GAIN`` and ``SHIFT``."""
    rng = np.random.default_rng(seed)
    gain = 1.0 + rng.uniform(-GAIN, GAIN, 3)
    shift = rng.uniform(-SHIFT, SHIFT, 3)
    levels = np.arange(256)[:, None] * gain + shift  # [256, 3]
    table = np.clip(np.floor(levels + 0.5), 0, 255).astype(np.uint8)
    return np.stack([table[image[:, :, channel], channel] for channel in range(3)], axis=2)


def decoy_hole(mask: Bool, seed: int) -> Bool | None:
    """A hole of the object's shape, slightly larger, at another place of the image.

    Args:
        mask: ``[H, W]``, the object; not empty.
        seed: decides the place.

    Returns:
        ``[H, W]``; None if no place was found where the hole lies in the image and keeps its distance from
        the object.
    """
    height, width = mask.shape
    margin = max(1, round(MARGIN * width))
    wide = _dilated(mask, margin)
    rows, columns = np.flatnonzero(wide.any(axis=1)), np.flatnonzero(wide.any(axis=0))
    top, left = int(rows[0]), int(columns[0])
    shape = wide[top : rows[-1] + 1, left : columns[-1] + 1]
    free_rows, free_columns = height - shape.shape[0], width - shape.shape[1]
    forbidden = _dilated(mask, 2 * margin)
    rng = np.random.default_rng(seed)
    for _ in range(TRIES):
        y, x = int(rng.integers(free_rows + 1)), int(rng.integers(free_columns + 1))
        place = (slice(y, y + shape.shape[0]), slice(x, x + shape.shape[1]))
        if not (forbidden[place] & shape).any():
            hole = np.zeros_like(mask)
            hole[place] = shape
            return hole
    return None


def _dilated(mask: Bool, margin: int) -> Bool:
    """The mask and all pixels at most ``margin`` away, diagonally too."""
    kernel = np.ones((2 * margin + 1, 2 * margin + 1), np.uint8)
    return np.asarray(cv2.dilate(mask.astype(np.uint8), kernel) > 0)
