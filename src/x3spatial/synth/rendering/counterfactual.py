"""The same picture with one object really gone, at the price of the samples that it touched.

A sample changes only if its primary ray, or one of its shadow or ambient rays, met the object
first: any other ray meets the same thing without it. Those samples are traced again in the scene
without the object, with the same random numbers; the rest is kept. The result is the image that
a full new render would give, bit for bit (tests/scenes/test_counterfactual.py).
"""

from __future__ import annotations

import numpy as np

from x3spatial.arrays import UInt8
from x3spatial.synth.rendering.camera import Camera
from x3spatial.synth.rendering.denoise import develop, radiance, reach
from x3spatial.synth.rendering.render import CHUNK, Layers, World, shade


def remove(
    layers: Layers, original: UInt8, uid: int, rest: World, camera: Camera, side: int,
    exposure: float,
) -> UInt8:  # fmt: skip
    """``original [H, W, 3]`` without object ``uid``; ``rest`` is the world that lacks it."""
    columns = camera.width * side
    touched = np.flatnonzero(layers.depends_on(uid))
    if len(touched) == 0:
        return original.copy()
    # Only a rectangle around the changes needs new pixels. The filter carries a change a few
    # samples further; computing a pixel needs as many samples beyond it again.
    rows, cols = touched // columns, touched % columns
    far = reach(side)
    low, high = [], []
    for values, pixels in ((rows, camera.height), (cols, camera.width)):
        low.append(max(0, (int(values.min()) - far) // side))
        high.append(min(pixels, (int(values.max()) + far) // side + 1))
    pad = -(-far // side)  # whole pixels
    top, left = max(0, low[0] - pad), max(0, low[1] - pad)
    bottom, right = min(camera.height, high[0] + pad), min(camera.width, high[1] + pad)
    height, width = (bottom - top) * side, (right - left) * side
    crop = layers.crop(columns, slice(top * side, bottom * side), slice(left * side, right * side))
    local = (rows - top * side) * width + (cols - left * side)
    for start in range(0, len(touched), CHUNK):
        part = slice(start, start + CHUNK)
        crop.put(local[part], shade(rest, camera, side, touched[part]))
    fresh = develop(radiance(crop, height, width, side), exposure)
    result = original.copy()
    result[low[0] : high[0], low[1] : high[1]] = fresh[
        low[0] - top : high[0] - top, low[1] - left : high[1] - left
    ]
    return result
