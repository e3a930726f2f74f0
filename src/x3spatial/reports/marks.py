"""Marks on images: points, answers, masks and labels."""

from __future__ import annotations

import cv2
import numpy as np
from PIL import Image, ImageDraw

from x3spatial.arrays import Bool
from x3spatial.reports.lettering import Colour, font
from x3spatial.tasks.boxes import Box
from x3spatial.tasks.geometry import Point

TRUTH: Colour = (40, 220, 60)
OUTLINE: Colour = (255, 230, 0)
ANSWER: Colour = (255, 0, 255)
REFERENCE: Colour = (0, 220, 255)
ANSWERS: tuple[Colour, ...] = (
    ANSWER, (255, 140, 0), (70, 130, 255), (190, 90, 255), (255, 90, 90), (235, 235, 235),
)  # fmt: skip
"""Colours of the answers of the first, second, ... results file."""


def outline(image: Image.Image, mask: Bool, *, right_half: bool) -> None:
    """Draw the outline of ``mask`` [H, W], stretched over the image or its right half."""
    width = image.width // 2 if right_half else image.width
    left = image.width - width if right_half else 0
    shown = cv2.resize(
        mask.astype(np.uint8), (width, image.height), interpolation=cv2.INTER_NEAREST
    )
    contours, _ = cv2.findContours(shown, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    draw = ImageDraw.Draw(image)
    for contour in contours:
        points = [(int(x) + left, int(y)) for x, y in contour[:, 0]]
        draw.line([*points, points[0]], fill=OUTLINE, width=1)


def to_pixels(size: tuple[int, int], point: Point) -> tuple[float, float]:
    """A normalised point in pixels of an image of ``size`` (W, H)."""
    return point.x * size[0], point.y * size[1]


def ring(draw: ImageDraw.ImageDraw, x: float, y: float, colour: Colour) -> None:
    """A point: a ring with a dot."""
    draw.ellipse((x - 6, y - 6, x + 6, y + 6), outline="black", width=4)
    draw.ellipse((x - 5, y - 5, x + 5, y + 5), outline=colour, width=2)
    draw.point((x, y), fill=colour)


def cross(draw: ImageDraw.ImageDraw, x: float, y: float, colour: Colour, number: str = "") -> None:
    """An answer: a cross, with the number of its model if there are several."""
    for shade, width in (("black", 4), (colour, 2)):
        draw.line((x - 6, y - 6, x + 6, y + 6), fill=shade, width=width)
        draw.line((x - 6, y + 6, x + 6, y - 6), fill=shade, width=width)
    if number:
        beside, anchor = (x - 8, "rm") if x > draw.im.size[0] - 24 else (x + 8, "lm")
        draw.text(
            (beside, y),
            number,
            fill=colour,
            font=font(13),
            anchor=anchor,
            stroke_width=2,
            stroke_fill="black",
        )


def frame(
    draw: ImageDraw.ImageDraw, size: tuple[int, int], box: Box, colour: Colour, number: str = ""
) -> None:
    """An answer that is a box: its outline with a cross in its centre, cut off at the border of the image."""
    box = box.ordered
    left, top = inside(size, *to_pixels(size, Point(box.x1, box.y1)))
    right, bottom = inside(size, *to_pixels(size, Point(box.x2, box.y2)))
    for shade, width in (("black", 4), (colour, 2)):
        draw.rectangle((left, top, right, bottom), outline=shade, width=width)
    cross(draw, *inside(size, *to_pixels(size, box.centre)), colour, number)


def inside(size: tuple[int, int], x: float, y: float) -> tuple[float, float]:
    """The place of a cross: points outside the image are drawn at its border."""
    return min(max(x, 6.0), size[0] - 7.0), min(max(y, 6.0), size[1] - 7.0)


def label(image: Image.Image, text: str, x: int) -> None:
    """A name in the upper corner of an image, white on black, ``x`` pixels from the left."""
    draw = ImageDraw.Draw(image)
    box = draw.textbbox((x + 8, 5), text, font=font(14))
    draw.rectangle((x, 0, box[2] + 7, box[3] + 5), fill="black")
    draw.text((x + 8, 5), text, fill="white", font=font(14))
