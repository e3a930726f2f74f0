"""Turns samples into pixels: denoising of the light, averaging and tone mapping."""

from __future__ import annotations

from functools import cache

import numpy as np

from x3spatial.arrays import Float32, Int32, UInt8
from x3spatial.synth.rendering.render import GBuffer

_PASSES = ((1, -1, 2), (4, -4))  # offsets of the neighbours in each pass of the filter


def filter_radius(side: int) -> int:
    """Return the radius of the denoising filter in samples."""
    return sum(max(abs(shift) for shift in shifts) for shifts in _PASSES[: 1 if side == 1 else 2])


_WHITE = 6.0  # exposed radiance that maps to white
_MAX_SAMPLE = np.float32(4.0)  # clamp against fireflies: one bright sample would whiten its pixel


@cache
def _tone_curve() -> UInt8:
    """Look-up table from exposed radiance, 65,536 steps over [0, _WHITE], to 8-bit sRGB."""
    x = np.linspace(0, _WHITE, 1 << 16)
    shoulder = x * (1 + x / 9) / (1 + x)
    linear = np.clip(1.12 * shoulder, 0, 1)
    srgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.round(srgb * 255).astype(np.uint8)


def _same_surface(surface: Int32, distance: Float32, shift: int, axis: int) -> Float32:
    """Return 1 where a sample and its neighbour at ``shift`` along ``axis`` may share light, else 0."""
    size = surface.shape[axis] - shift
    near = [slice(None), slice(None)]
    far = [slice(None), slice(None)]
    near[axis], far[axis] = slice(0, size), slice(shift, None)
    a, b = distance[tuple(near)], distance[tuple(far)]
    same = surface[tuple(near)] == surface[tuple(far)]
    near_enough = np.abs(a - b) < np.float32(0.03) * np.minimum(a, b)
    return np.asarray(same & near_enough, np.float32)


def smooth(light: Float32, surface: Int32, distance: Float32, side: int) -> Float32:
    """Denoise light by averaging it over neighbouring samples of the same surface.

    The first pass averages 4 x 4 samples, which hold each stratum of the noise once. With several
    samples per pixel a second pass averages 3 x 3 such windows. Both passes are separable. A sample's
    result depends on samples up to ``filter_radius(side)`` away along each axis.

    Args:
        light: [3, h, w] linear, per sample.
        surface: [h, w]; samples are averaged only with samples of the same number.
        distance: [h, w] metres along the primary ray.
        side: samples along a pixel's side.

    Returns:
        [3, h, w] linear.
    """
    for shifts in _PASSES[: 1 if side == 1 else 2]:
        for axis in (1, 0):
            total = light.copy()
            count = np.ones(surface.shape, np.float32)
            alike: dict[int, Float32] = {}
            for shift in shifts:
                step = abs(shift)
                size = surface.shape[axis] - step
                if size <= 0:
                    continue
                here, there = [slice(None), slice(None)], [slice(None), slice(None)]
                here[axis], there[axis] = slice(0, size), slice(step, None)
                if step not in alike:
                    alike[step] = _same_surface(surface, distance, step, axis)
                if shift < 0:
                    here, there = there, here
                total[:, *here] += alike[step] * light[:, *there]
                count[*here] += alike[step]
            light = total / count
    return light


def radiance(gbuffer: GBuffer, height: int, width: int, side: int) -> Float32:
    """Return linear RGB [height / side, width / side, 3]; ``height`` and ``width`` count samples."""
    surface = gbuffer.surface.reshape(height, width)
    distance = gbuffer.distance.reshape(height, width)
    light = smooth(gbuffer.light.reshape(3, height, width), surface, distance, side)
    colour = gbuffer.albedo.reshape(3, height, width) * light + gbuffer.extra.reshape(
        3, height, width
    )
    colour = np.minimum(colour, _MAX_SAMPLE)
    # Sums of shifted views: numpy's mean over two axes may add in another order on a smaller crop.
    total = np.zeros((3, height // side, width // side), np.float32)
    for dy in range(side):
        for dx in range(side):
            total += colour[:, dy::side, dx::side]
    return np.ascontiguousarray((total / np.float32(side * side)).transpose(1, 2, 0))


def tone_map(linear: Float32, exposure: float) -> UInt8:
    """Convert linear RGB [h, w, 3] to 8-bit sRGB [h, w, 3]."""
    scale = np.float32(exposure * ((1 << 16) - 1) / _WHITE)
    steps = np.minimum(linear * scale + np.float32(0.5), np.float32((1 << 16) - 1))
    return np.asarray(_tone_curve()[steps.astype(np.int32)])


def final_image(gbuffer: GBuffer, height: int, width: int, side: int, exposure: float) -> UInt8:
    """Return the sRGB image [height, width, 3] of all samples of an image; sizes in pixels."""
    return tone_map(radiance(gbuffer, height * side, width * side, side), exposure)
