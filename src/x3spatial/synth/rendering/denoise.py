"""From samples to pixels: smoothing the light, averaging, and the curve of the film."""

from __future__ import annotations

from functools import cache

import numpy as np

from x3spatial.arrays import Float32, Int32, UInt8
from x3spatial.synth.rendering.render import Layers

_PASSES = ((1, -1, 2), (4, -4))  # the neighbours of a sample in the passes of the filter


def reach(side: int) -> int:
    """How many samples the filter looks beyond a sample, at most."""
    return sum(max(abs(shift) for shift in shifts) for shifts in _PASSES[: 1 if side == 1 else 2])


_TOP = 6.0  # exposed values from here on are white
_BRIGHT = np.float32(4.0)  # no single sample may be brighter: one would whiten its whole pixel


@cache
def _film() -> UInt8:
    """8-bit sRGB of exposed light, in 65,536 steps over [0, _TOP]."""
    x = np.linspace(0, _TOP, 1 << 16)
    shoulder = x * (1 + x / 9) / (1 + x)
    linear = np.clip(1.12 * shoulder, 0, 1)
    srgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.round(srgb * 255).astype(np.uint8)


def _alike(surface: Int32, distance: Float32, shift: int, axis: int) -> Float32:
    """1 where a sample and the one ``shift`` further along ``axis`` may share their light, else 0."""
    size = surface.shape[axis] - shift
    near = [slice(None), slice(None)]
    far = [slice(None), slice(None)]
    near[axis], far[axis] = slice(0, size), slice(shift, None)
    a, b = distance[tuple(near)], distance[tuple(far)]
    same = surface[tuple(near)] == surface[tuple(far)]
    near_enough = np.abs(a - b) < np.float32(0.03) * np.minimum(a, b)
    return np.asarray(same & near_enough, np.float32)


def smooth(light: Float32, surface: Int32, distance: Float32, side: int) -> Float32:
    """Average ``light [3, h, w]`` over windows of samples of one surface.

    First over 4 x 4 samples, where each stratum of the noise occurs once, then, where pixels have
    several samples, over three such windows across and three down. Both go one axis at a time. A
    sample's result needs its neighbours up to ``reach(side)`` samples away on either axis only.
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
                    alike[step] = _alike(surface, distance, step, axis)
                if shift < 0:
                    here, there = there, here
                total[:, *here] += alike[step] * light[:, *there]
                count[*here] += alike[step]
            light = total / count
    return light


def radiance(layers: Layers, height: int, width: int, side: int) -> Float32:
    """Linear colour ``[h, w, 3]`` of pixels; ``height`` and ``width`` count samples."""
    surface = layers.surface.reshape(height, width)
    distance = layers.distance.reshape(height, width)
    light = smooth(layers.light.reshape(3, height, width), surface, distance, side)
    colour = layers.albedo.reshape(3, height, width) * light + layers.extra.reshape(
        3, height, width
    )
    colour = np.minimum(colour, _BRIGHT)
    # Sums of shifted views: a mean over two axes may add up in another order on a smaller crop.
    total = np.zeros((3, height // side, width // side), np.float32)
    for dy in range(side):
        for dx in range(side):
            total += colour[:, dy::side, dx::side]
    return np.ascontiguousarray((total / np.float32(side * side)).transpose(1, 2, 0))


def develop(linear: Float32, exposure: float) -> UInt8:
    """8-bit sRGB ``[h, w, 3]``."""
    scale = np.float32(exposure * ((1 << 16) - 1) / _TOP)
    steps = np.minimum(linear * scale + np.float32(0.5), np.float32((1 << 16) - 1))
    return np.asarray(_film()[steps.astype(np.int32)])


def picture(layers: Layers, height: int, width: int, side: int, exposure: float) -> UInt8:
    """The finished ``[h, w, 3]`` image of a frame's samples; ``height``, ``width`` in pixels."""
    return develop(radiance(layers, height * side, width * side, side), exposure)
