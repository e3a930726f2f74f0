"""Counterfactual images: the same view rendered without one object, incrementally.

Removing an object changes a sample only if the first hit of its primary ray, or of one of its shadow
or ambient rays, is that object. Only those samples are traced again in the scene without the object,
with the same random numbers. The result is bit-identical to a full render of that scene
(tests/synth/test_scene_rendering.py).
"""

from __future__ import annotations

import numpy as np

from x3spatial.arrays import UInt8
from x3spatial.synth.rendering.camera import Camera
from x3spatial.synth.rendering.denoise import filter_radius, radiance, tone_map
from x3spatial.synth.rendering.render import CHUNK, GBuffer, World, shade


def remove(
    gbuffer: GBuffer, original: UInt8, uid: int, rest: World, camera: Camera, side: int,
    exposure: float,
) -> UInt8:  # fmt: skip
    """Render an image again without one object.

    Args:
        gbuffer: the samples of the original image; not modified.
        original: the original image, [H, W, 3] sRGB; not modified.
        uid: the object to remove.
        rest: the world without the object.
        camera: the camera of the original image.
        side: samples along a pixel's side.
        exposure: exposure of the original image.

    Returns:
        [H, W, 3] sRGB.
    """
    columns = camera.width * side
    touched = np.flatnonzero(gbuffer.depends_on(uid))
    if len(touched) == 0:
        return original.copy()
    # Only pixels in a rectangle around the changed samples change. The filter spreads a change by
    # its radius, and filtering the rectangle needs the samples within one more radius.
    rows, cols = touched // columns, touched % columns
    far = filter_radius(side)
    low, high = [], []
    for values, pixels in ((rows, camera.height), (cols, camera.width)):
        low.append(max(0, (int(values.min()) - far) // side))
        high.append(min(pixels, (int(values.max()) + far) // side + 1))
    pad = -(-far // side)  # whole pixels
    top, left = max(0, low[0] - pad), max(0, low[1] - pad)
    bottom, right = min(camera.height, high[0] + pad), min(camera.width, high[1] + pad)
    height, width = (bottom - top) * side, (right - left) * side
    crop = gbuffer.crop(columns, slice(top * side, bottom * side), slice(left * side, right * side))
    local = (rows - top * side) * width + (cols - left * side)
    for start in range(0, len(touched), CHUNK):
        part = slice(start, start + CHUNK)
        crop.put(local[part], shade(rest, camera, side, touched[part]))
    fresh = tone_map(radiance(crop, height, width, side), exposure)
    result = original.copy()
    result[low[0] : high[0], low[1] : high[1]] = fresh[
        low[0] - top : high[0] - top, low[1] - left : high[1] - left
    ]
    return result
