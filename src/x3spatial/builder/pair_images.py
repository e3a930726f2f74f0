"""The images of pairs that may or may not differ by an object: recoloured slightly.

Both kinds of pairs of a view are made alike, so that neither equal bytes nor the kind of file tells them
apart: the second image of each is recoloured by the same random curve, and all images are JPEG files.
"""

from __future__ import annotations

import cv2
import numpy as np

from x3spatial.arrays import UInt8

GAIN, SHIFT = 0.02, 2.0
"""Largest change of a colour channel: a factor of 1 ± GAIN, and ± SHIFT on a scale of 0 to 255."""


def recolour(image: UInt8, seed: int) -> UInt8:
    """The image ``[H, W, 3]`` with a random factor and shift of each channel; see ``GAIN`` and ``SHIFT``."""
    rng = np.random.default_rng(seed)
    gain = 1.0 + rng.uniform(-GAIN, GAIN, 3)
    shift = rng.uniform(-SHIFT, SHIFT, 3)
    levels = np.arange(256)[:, None] * gain + shift  # [256, 3]
    table = np.clip(np.floor(levels + 0.5), 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(image, table[None]), np.uint8)
