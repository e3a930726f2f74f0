"""Preprocessing of images and depth maps for RoboRefer's towers, with Pillow.

Torchvision is not used, because its resampling differs from that of Pillow, with which the model was trained.
The modes (resize, pad, dynamic) are those of Zhoues/RoboRefer; dynamic tiling selects the closest aspect
ratio, as in InternVL.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers.feature_extraction_utils import BatchFeature
from transformers.image_processing_utils import BaseImageProcessor

from x3spatial.arrays import Float64, UInt8
from x3spatial.errors import UserError
from x3spatial.io.members import open_file
from x3spatial.models import choices
from x3spatial.models.local.image_loading import load_rgb

ASPECT_MODES = choices.ASPECT_MODES


def check_aspect_mode(mode: str) -> str:
    """``mode`` if it is supported.

    Raises:
        UserError: the mode is not supported; this includes ``dynamic_s2``.
    """
    if mode not in ASPECT_MODES:
        raise UserError(
            f"--image-aspect-ratio {mode}: not supported; choose one of {', '.join(ASPECT_MODES)}"
        )
    return mode


def load_depth(source: Path | str | Image.Image) -> Image.Image:
    """Open a depth map as the 8-bit, three-channel input of the depth tower.

    A 16-bit file contains millimetres (0: not measured) and is converted to inverse depth, scaled so that the
    nearest surface is 255 and the farthest 0; a constant map becomes 0. An 8-bit file is assumed to be scaled
    already; a single channel is repeated.
    """
    if isinstance(source, Image.Image):
        return _depth_image(source)
    with open_file(source) as file, Image.open(file) as image:
        return _depth_image(image)


def _depth_image(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # I;16, or I after conversion by Pillow
        grey = inverse_depth(np.asarray(image).astype(np.float64))
        return Image.fromarray(np.repeat(grey[..., None], 3, axis=2))
    return image.convert("RGB")


def inverse_depth(millimetres: Float64) -> UInt8:
    """Convert ``[H, W]`` millimetres to ``uint8`` inverse depth, min-max scaled over the measured pixels.

    Unmeasured pixels become 0 and do not affect the scaling. Values are truncated to 8 bits, as in
    RoboRefer's demo server.
    """
    measured = millimetres > 0
    scaled = np.zeros(millimetres.shape, np.uint8)
    if not measured.any():
        return scaled
    inverse = 1.0 / millimetres[measured]
    low, high = inverse.min(), inverse.max()
    if high > low:
        scaled[measured] = ((inverse - low) / (high - low) * 255.0).astype(np.uint8)
    return scaled


def resize(image: Image.Image, width: int, height: int) -> Image.Image:
    """Pillow's bicubic resize, columns before rows.

    Pillow rounds to 8 bits between the two passes, so their order affects the result. Up to version 12 the
    order was fixed, and the model was trained with it; version 13 selects the cheaper order. Two separate
    calls give the same pixels with every version.
    """
    for size in ((width, image.height), (width, height)):
        if image.size != size:
            image = image.resize(size, Image.Resampling.BICUBIC)
    return image


def tile_grid(
    width: int, height: int, *, tile: int, min_tiles: int, max_tiles: int
) -> tuple[int, int]:
    """(columns, rows) of the grid whose aspect ratio is closest to that of the image.

    In a tie, the finer grid is selected if the image has more than half as many pixels as that grid.
    """
    aspect = width / height
    grids = sorted(
        (
            (columns, rows)
            for columns in range(1, max_tiles + 1)
            for rows in range(1, max_tiles + 1)
            if min_tiles <= columns * rows <= max_tiles
        ),
        key=lambda grid: grid[0] * grid[1],
    )
    best, best_distance = (1, 1), float("inf")
    for columns, rows in grids:
        distance = abs(aspect - columns / rows)
        large_enough = width * height > 0.5 * tile * tile * columns * rows
        if distance < best_distance or (distance == best_distance and large_enough):
            best, best_distance = (columns, rows), distance
    return best


def cut_tiles(
    image: Image.Image, *, tile: int, min_tiles: int, max_tiles: int
) -> list[Image.Image]:
    """``tile`` x ``tile`` crops of the image, row by row, and a thumbnail if there are several."""
    columns, rows = tile_grid(*image.size, tile=tile, min_tiles=min_tiles, max_tiles=max_tiles)
    whole = resize(image, columns * tile, rows * tile)
    tiles = [
        whole.crop((column * tile, row * tile, (column + 1) * tile, (row + 1) * tile))
        for row in range(rows)
        for column in range(columns)
    ]
    if len(tiles) > 1:
        tiles.append(resize(image, tile, tile))
    return tiles


def pad_square(image: Image.Image, colour: tuple[int, int, int]) -> Image.Image:
    """Centre the image on a square of ``colour``."""
    side = max(image.size)
    if image.size == (side, side):
        return image
    square = Image.new("RGB", (side, side), colour)
    square.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    return square


class RoboReferImageProcessor(BaseImageProcessor):
    """Converts images to ``float32 [tiles, 3, H, W]`` in [-1, 1].

    Attributes:
        size: ``{"height", "width"}`` of the tower's input, in pixels.
        image_aspect_ratio: ``resize`` (squeeze), ``pad`` (centre on a square of the mean colour) or
            ``dynamic`` (tiles and a thumbnail).
        min_tiles, max_tiles: bounds of the dynamic grid.
        image_mean, image_std: per channel, of values in [0, 1].
    """

    model_input_names = ["pixel_values"]  # noqa: RUF012 (the base class declares it so)

    def __init__(
        self,
        *,
        size: dict[str, int] | None = None,
        image_aspect_ratio: str = "resize",
        min_tiles: int = 1,
        max_tiles: int = 12,
        image_mean: list[float] | None = None,
        image_std: list[float] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.size = dict(size) if size else {"height": 448, "width": 448}
        self.image_aspect_ratio = check_aspect_mode(image_aspect_ratio)
        self.min_tiles = min_tiles
        self.max_tiles = max_tiles
        self.image_mean = list(image_mean or (0.5, 0.5, 0.5))
        self.image_std = list(image_std or (0.5, 0.5, 0.5))

    def crops(self, image: Image.Image, *, tiled: bool = True) -> list[Image.Image]:
        """The 8-bit inputs of the tower for one image: a single image, or tiles in dynamic mode."""
        height, width = self.size["height"], self.size["width"]
        if self.image_aspect_ratio == "dynamic" and tiled:
            return cut_tiles(image, tile=height, min_tiles=self.min_tiles, max_tiles=self.max_tiles)
        if self.image_aspect_ratio == "pad":
            red, green, blue = (int(mean * 255) for mean in self.image_mean)
            image = pad_square(image, (red, green, blue))
        return [resize(image, width, height)]

    def pixels(self, image: Image.Image) -> torch.Tensor:
        """One RGB image as ``float32 [tiles, 3, H, W]``."""
        return self.stack(self.crops(image))

    def stack(self, crops: Sequence[Image.Image]) -> torch.Tensor:
        """Convert results of ``crops``, for one or several images, to ``float32 [tiles, 3, H, W]``."""
        rows = torch.empty((len(crops), 3, self.size["height"], self.size["width"]))
        mean = np.asarray(self.image_mean, np.float32)[:, None, None]
        deviation = np.asarray(self.image_std, np.float32)[:, None, None]
        for values, crop in zip(rows.numpy(), crops, strict=True):
            # Converted in place; copies of the whole array took five times as long.
            values[...] = np.asarray(crop).transpose(2, 0, 1)
            # The same float32 steps as transformers' processor: 1/255, mean, standard deviation.
            values *= np.float32(1 / 255)
            values -= mean
            values /= deviation
        return rows

    def preprocess(self, images: Any, *args: Any, **kwargs: Any) -> BatchFeature:
        """``pixel_values [sum of tiles, 3, H, W]`` and ``tiles`` (number of rows per image).

        Args:
            images: an image, path or nested list of them; converted to RGB.
            args, kwargs: ignored; settings are attributes of the processor.
        """
        rows = [self.pixels(load_rgb(image)) for image in flatten(images)]
        return BatchFeature({"pixel_values": torch.cat(rows), "tiles": [len(row) for row in rows]})


def flatten(images: Any) -> list[Any]:
    """An image or nested lists of images as one flat list, in order."""
    if isinstance(images, (list, tuple)):
        return [image for entry in images for image in flatten(entry)]
    return [images]
