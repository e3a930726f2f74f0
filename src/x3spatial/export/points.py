"""The ways to write a point that an export can rewrite prompts and answers to.

Every family has learned one way and is best trained further in it. An entry says which numbers stand
at the right and bottom edge of the image, how a point looks, and how the prompt asks for it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from x3spatial.tasks.answers import Written, fitting_text
from x3spatial.tasks.frames import Frame
from x3spatial.tasks.points import BoolArray, Point, Target, centre_of, hits

AS_RECORDED = "unit"
PLACEHOLDER = "placeholder"


@dataclass(frozen=True, slots=True)
class ResizeLimits:
    """Between how many pixels the Qwen2.5-VL processor keeps an image."""

    min_pixels: int = 56 * 56
    max_pixels: int = 16384 * 28 * 28


@dataclass(frozen=True, slots=True)
class Shown:
    """The image that a point is written for."""

    width: int
    height: int
    limits: ResizeLimits = ResizeLimits()


def qwen25_size(shown: Shown) -> tuple[int, int]:
    """(W, H) that the Qwen2.5-VL processor resizes an image to: multiples of 28 within the limits."""
    factor = 28
    width, height, limits = shown.width, shown.height, shown.limits
    # Round half to even, as that processor does.
    columns, rows = (max(factor, round(side / factor) * factor) for side in (width, height))
    if columns * rows > limits.max_pixels:
        shrink = math.sqrt(width * height / limits.max_pixels)
        columns, rows = (
            max(factor, math.floor(side / shrink / factor) * factor) for side in (width, height)
        )
    elif columns * rows < limits.min_pixels:
        grow = math.sqrt(limits.min_pixels / (width * height))
        columns, rows = (math.ceil(side * grow / factor) * factor for side in (width, height))
    return columns, rows


@dataclass(frozen=True, slots=True)
class PointFormat:
    """One way to write a point."""

    name: str
    describes: str
    edge: Callable[[Shown], tuple[float, float]]
    """The numbers that stand for the right and the bottom edge of the image."""
    answer: str
    """An answer, with ``{x}`` and ``{y}``."""
    bare: str
    """The same for a point in the middle of a sentence."""
    ask: str
    """How the prompt asks for it; ``{image}``, ``{width}``, ``{height}`` are filled in."""
    measure: str
    """How the prompt explains a point that it gives; the same fields."""
    decimals: int = 0
    names_pixels: bool = False
    """Whether a whole number names a pixel (its index) rather than a distance from the edge."""

    def write(self, point: Point, decimals: int, shown: Shown, form: str) -> tuple[str, Point]:
        """``form`` filled in for a point, and the point that it says when read back."""
        edges = self.edge(shown)
        down = self.names_pixels and decimals == 0
        numbers = [
            f"{math.floor(value * edge) if down else value * edge:.{decimals}f}"
            for value, edge in zip(point, edges, strict=True)
        ]
        text = form.replace("{x}", numbers[0]).replace("{y}", numbers[1])
        return text, Point(float(numbers[0]) / edges[0], float(numbers[1]) / edges[1])

    def fit(
        self, target: Target, mask: BoolArray, frame: Frame, shown: Shown, form: str
    ) -> Written:
        """``form`` filled in so that it hits ``mask`` when read back."""
        return fitting_text(
            target,
            mask,
            frame,
            lambda point, decimals: self.write(point, decimals, shown, form),
            fewest=self.decimals,
        )


def _thousand(_: Shown) -> tuple[float, float]:
    return 1000.0, 1000.0


_FROM_EDGES = (
    "x runs from 0 at the left edge of {image} to 1000 at its right edge and y from 0 at the top to"
    " 1000 at the bottom"
)
_THOUSANDTHS = "in thousandths of the width and the height of {image}"

POINT_FORMATS: dict[str, PointFormat] = {
    entry.name: entry
    for entry in (
        PointFormat(
            name="thousand",
            describes="[(x, y)], x first, 0 to 1000 of the image",
            edge=_thousand,
            answer="[({x}, {y})]",
            bare="({x}, {y})",
            ask="as [(x, y)] in whole numbers, where " + _FROM_EDGES,
            measure=_THOUSANDTHS,
        ),
        PointFormat(
            name="pixel",
            describes="[(x, y)], x first, pixels of the image as it is on disk",
            edge=lambda shown: (shown.width, shown.height),
            answer="[({x}, {y})]",
            bare="({x}, {y})",
            ask=(
                "as [(x, y)], where x is the column and y the row of its pixel in {image}, which is"
                " {width} pixels wide and {height} pixels high, both counted from 0 at the top left"
            ),
            measure="column and row of a pixel in {image}",
            names_pixels=True,
        ),
        PointFormat(
            name="qwen3-1000",
            describes='[{"point_2d": [x, y]}], 0 to 1000 of the image (Qwen3-VL)',
            edge=_thousand,
            answer='[{"point_2d": [{x}, {y}]}]',
            bare="[{x}, {y}]",
            ask='as JSON, [{"point_2d": [x, y]}], in whole numbers, where ' + _FROM_EDGES,
            measure=_THOUSANDTHS,
        ),
        PointFormat(
            name="qwen2.5-px",
            describes='[{"point_2d": [x, y]}], pixels of the resized image (Qwen2.5-VL)',
            edge=qwen25_size,
            answer='[{"point_2d": [{x}, {y}]}]',
            bare="[{x}, {y}]",
            ask='as JSON, [{"point_2d": [x, y]}], in pixels of {image} as it is shown to you',
            measure="in pixels of {image} as it is shown to you",
        ),
        PointFormat(
            name="gemini-yx-1000",
            describes='[{"point": [y, x]}], y first, 0 to 1000 of the image (Gemini)',
            edge=_thousand,
            answer='[{"point": [{y}, {x}]}]',
            bare="[{y}, {x}]",
            ask='as JSON, [{"point": [y, x]}], y before x, in whole numbers, where ' + _FROM_EDGES,
            measure="y before x, " + _THOUSANDTHS,
        ),
        PointFormat(
            name="molmo-100",
            describes='<point x="61.5" y="40.2" ...>, percent of the image (Molmo)',
            edge=lambda _: (100.0, 100.0),
            answer='<point x="{x}" y="{y}" alt="object">object</point>',
            bare="x={x}, y={y}",
            ask=(
                'as <point x="..." y="..." alt="object">object</point>, where x and y are in percent'
                " of the width and the height of {image}, with one decimal"
            ),
            measure="in percent of the width and the height of {image}",
            decimals=1,
        ),
    )
}


def box_of(
    target: Target, mask: BoolArray, frame: Frame, shown: Shown
) -> tuple[tuple[float, float], bool]:
    """A point in pixels for a trainer that scales it and rounds to whole numbers afterwards.

    Returns ((x, y), safe): safe says that the number still hits ``mask`` after rounding on every
    grid that the trainer may choose (pixels as on disk, thousandths, Qwen2.5-VL's resized image).
    The target itself is preferred, then points of its pixel from the centre to the top left.
    """
    height, width = mask.shape
    grids = [(shown.width, shown.height), _thousand(shown), qwen25_size(shown)]

    def hit(x: float, y: float) -> bool:
        read = Point(x / shown.width, y / shown.height)
        return frame.contains(read) and hits(mask, frame.to_local(read))

    def survives(x: float, y: float) -> bool:
        return all(
            hit(
                round(x / shown.width * columns) / columns * shown.width,
                round(y / shown.height * rows) / rows * shown.height,
            )
            for columns, rows in grids
        )

    centre = centre_of(target.pixel, width, height)
    tries = [target.point, centre]
    for share in (0.4, 0.25, 0.1):
        column, row = target.pixel
        tries.append(Point((column + share) / width, (row + share) / height))
    boxes = []
    for point in tries:
        full = frame.to_full(point)
        boxes.append((round(full.x * shown.width, 4), round(full.y * shown.height, 4)))
    for box in boxes:
        if hit(*box) and survives(*box):
            return box, True
    return next((box for box in boxes if hit(*box)), boxes[1]), False
