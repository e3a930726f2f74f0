"""MolmoPoint, which points with special tokens instead of numbers.

A point is three tokens that select a patch of an image, a part of it and a place in that, followed by the
number of the object (arXiv 2603.28069). Only the model's own code can tell where that is, from what its
processor returned with the images. The adapter (``models/huggingface/pointing.py``) has it decoded and writes
the points as Molmo 2 writes them, so that the answer in the results can be read and scored again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from x3spatial.conventions.markup import MOLMO2

MOLMO_POINT = replace(
    MOLMO2,
    name="molmo-point",
    describes=(
        'special tokens, written down as <points coords="2 1 615.25 402.50">, 0 to 1000'
        " (MolmoPoint)"
    ),
    decimals=2,
    inline="x={x}, y={y}",
)


def points_text(points: Iterable[tuple[int, int, float, float]]) -> str:
    """Decoded points as text.

    Args:
        points: (number of the image from 1, number of the object, x, y), x and y in thousandths of the image.

    Returns:
        One tag with the points of each image in their order; an empty text without points.
    """
    images: dict[int, list[str]] = {}
    for image, number, x, y in points:
        images.setdefault(image, []).append(f"{number} {x:06.2f} {y:06.2f}")
    if not images:
        return ""
    coords = ";".join(f"{image} {' '.join(found)}" for image, found in images.items())
    return f'<points coords="{coords}">object</points>'
