"""Images with one dot at a known position, as task records for any model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import numpy as np

from x3spatial.arrays import Bool, UInt8
from x3spatial.formats.task_file import TaskRecord
from x3spatial.io.files import write_bytes, write_json
from x3spatial.io.images import encode_mask_png, encode_png
from x3spatial.tasks.answers import NOT_VISIBLE
from x3spatial.tasks.geometry import Point
from x3spatial.tasks.ground_truth import sample_seed
from x3spatial.tasks.question import Size
from x3spatial.tasks.spec import TASKS, TaskSpec, Views, registered

SIZES: tuple[Size, ...] = (
    (448, 448), (640, 480), (480, 640), (1280, 720), (2048, 1024), (160, 120),
)  # fmt: skip
"""(W, H) of one-image questions: square, wide, tall, large and small."""
PAIRS: tuple[tuple[Size, Size], ...] = (
    ((640, 480), (640, 480)),
    ((448, 448), (1280, 720)),
    ((1280, 720), (480, 640)),
)
"""(W, H) of the first and second image of two-image questions; the second is the query image."""
DOTS = 6
"""Minimum number of dots per size: scale and offset are fitted per size, which needs at least four points."""

_GREEN = (0, 190, 40)
_RADIUS = 0.035
"""Radius as a part of the shorter side: the dot stays visible if 2048 x 1024 is squeezed to 448 x 448."""
_RING = 1.4
"""Outer radius of the white ring, in radii of the disc."""
# No two positions, mirrored positions or positions with swapped axes are close to each other.
_PLACES = ((0.20, 0.66), (0.86, 0.37), (0.42, 0.12), (0.68, 0.86), (0.11, 0.33), (0.58, 0.24))
_JITTER = 0.03
_BACKGROUNDS = ("dark", "gradient", "light")
_MARGIN = 0.09

_ONE = "Find the middle of the green dot in the image. There may be no such dot in it."
_TWO = (
    "You see two images. Find the middle of the green dot in the second image. There may be no such dot in"
    " it. The first image may show a green dot at another place, which does not count."
)
# As in the prompts of the tasks; conventions other than RoboRefer's have their own paragraph.
_UNIT_FORMAT = (
    "If the dot can be seen in {image}, answer with one point on it as a list with one tuple, [(x, y)],"
    " where x and y are between 0 and 1 and give the position as a fraction of the width and the height of"
    " {image}. If it cannot be seen there, answer {absent}."
)


ONE_IMAGE = TaskSpec(
    name="check_dot",
    group="check",
    title="dot",
    summary="find a dot in one image, or answer NOT_VISIBLE",
    file_name="check_{split}_dot.json",
    draft=lambda item, pairs, template: iter(()),
    views=Views.ONE,
    template="t1_multi",
    by_default=False,
)
"""Questions with one image whose dot may be missing; a task only while a model is checked."""


@contextmanager
def dot_task() -> Iterator[None]:
    """Within it the questions with one image are records of a task."""
    with nullcontext() if ONE_IMAGE.name in TASKS else registered(ONE_IMAGE):
        yield


@dataclass(frozen=True, slots=True)
class Probe:
    """One question and its ground truth."""

    record: TaskRecord
    size: Size
    """(W, H) of the query image, the last one."""
    dot: Point | None
    """Centre of the dot, normalised; None without a dot."""
    first_size: Size | None = None
    """(W, H) of the first of two images."""
    decoy: Point | None = None
    """The dot in the first image, normalised there."""


def write_questions(folder: Path, *, dots: int, seed: int) -> list[Probe]:
    """Draw all images into ``folder``; the bytes depend only on ``dots`` and ``seed``.

    There are six one-image sizes and three pairs of sizes with ``dots`` questions each, and four questions
    whose image has no dot.
    """
    folder.mkdir(parents=True, exist_ok=True)
    return [_write(folder, drawn) for drawn in _drawn(dots, seed)]


def write_task_file(path: Path, probes: list[Probe]) -> Path:
    """Write the records of ``probes`` as a task file."""
    write_json(path, [one.record.to_json() for one in probes])
    return path


@dataclass(frozen=True, slots=True)
class _Picture:
    size: Size
    dot: Point | None
    background: str


@dataclass(frozen=True, slots=True)
class _Drawn:
    name: str
    pictures: tuple[_Picture, ...]


def _drawn(dots: int, seed: int) -> Iterator[_Drawn]:
    rng = np.random.default_rng(sample_seed(seed, "check-model"))
    background = cycle(_BACKGROUNDS)

    def place(number: int) -> Point:
        x, y = _PLACES[number % len(_PLACES)]
        dx, dy = rng.uniform(-_JITTER, _JITTER, 2)
        if number >= len(_PLACES):  # beyond the fixed positions: a random one
            dx, dy = rng.uniform(_MARGIN, 1 - _MARGIN, 2) - (x, y)
        return Point(x + float(dx), y + float(dy))

    for width, height in SIZES:
        for number in range(dots):
            picture = _Picture((width, height), place(number), next(background))
            yield _Drawn(f"one_{width}x{height}_{number}", (picture,))
    for (w1, h1), (w2, h2) in PAIRS:
        for number in range(dots):
            dot = place(number)
            decoy = _far_from(dot, rng)
            first = _Picture((w1, h1), decoy, next(background))
            second = _Picture((w2, h2), dot, next(background))
            yield _Drawn(f"two_{w1}x{h1}_{w2}x{h2}_{number}", (first, second))
    for width, height in ((640, 480), (480, 640)):
        empty = _Picture((width, height), None, next(background))
        yield _Drawn(f"none_one_{width}x{height}", (empty,))
        first = _Picture((640, 480), place(width % 5), next(background))
        yield _Drawn(f"none_two_{width}x{height}", (first, empty))


def _far_from(dot: Point, rng: np.random.Generator) -> Point:
    """A position that is not reached from ``dot`` by any fault of scale or axes."""
    others = [dot, Point(dot.y, dot.x), Point(1 - dot.x, dot.y), Point(dot.x, 1 - dot.y)]
    while True:
        x, y = rng.uniform(_MARGIN, 1 - _MARGIN, 2)
        if all(np.hypot(x - other.x, y - other.y) > 0.2 for other in others):
            return Point(float(x), float(y))


def _write(folder: Path, drawn: _Drawn) -> Probe:
    paths = []
    mask = np.zeros((1, 1), dtype=bool)
    for number, picture in enumerate(drawn.pictures, start=1):
        pixels, mask = draw(picture.size, picture.dot, picture.background)
        paths.append(folder / f"{drawn.name}_image{number}.png")
        write_bytes(paths[-1], encode_png(pixels))
    mask_path = folder / f"{drawn.name}_mask.png"
    write_bytes(mask_path, encode_mask_png(mask))
    asked, two = drawn.pictures[-1], len(drawn.pictures) == 2
    question = _TWO if two else _ONE
    image = "the second image" if two else "the image"
    format_ = _UNIT_FORMAT.format(image=image, absent=NOT_VISIBLE)
    dot = asked.dot
    record = TaskRecord(
        id=f"CHECK_{drawn.name}",
        task=("t2a_multi" if dot is None else "t1_multi") if two else ONE_IMAGE.name,
        image=tuple(str(path.absolute()) for path in paths),
        prompt=f"{question}\n{format_}",
        question=question,
        answer=NOT_VISIBLE if dot is None else f"[({dot.x:.5f}, {dot.y:.5f})]",
        query_original=str(paths[-1].absolute()),
        scene="check",
        uid=drawn.name,
        query_mask=str(mask_path.absolute()),
        query_mask_kind="tight",
        image_sizes=tuple(picture.size for picture in drawn.pictures),
        mask_area_fraction=float(mask.mean()),
    )
    if not two:
        return Probe(record, asked.size, dot)
    return Probe(record, asked.size, dot, drawn.pictures[0].size, drawn.pictures[0].dot)


def draw(size: Size, dot: Point | None, background: str) -> tuple[UInt8, Bool]:
    """``uint8 [H, W, 3]`` with a ringed disc centred at ``dot``, and the disc's mask ``bool [H, W]``."""
    width, height = size
    columns = (np.arange(width) + 0.5)[None, :]
    rows = (np.arange(height) + 0.5)[:, None]
    if background == "gradient":
        grey = 50.0 + 110.0 * (columns / width + rows / height) / 2
    else:
        grey = np.full((height, width), 40.0 if background == "dark" else 175.0)
    image = np.repeat(grey[..., None].astype(np.uint8), 3, axis=2)
    mask = np.zeros((height, width), dtype=bool)
    if dot is not None:
        radius = max(_RADIUS * min(size), 3.0)
        # Only the region around the dot is computed.
        x0, x1 = _range(dot.x * width, radius, width)
        y0, y1 = _range(dot.y * height, radius, height)
        away = np.hypot(columns[:, x0:x1] - dot.x * width, rows[y0:y1] - dot.y * height)
        image[y0:y1, x0:x1][away <= _RING * radius] = 255
        mask[y0:y1, x0:x1] = away <= radius
        image[mask] = _GREEN
    return image, mask


def _range(centre: float, radius: float, side: int) -> tuple[int, int]:
    """The rows or columns that contain the ring."""
    reach = _RING * radius + 1
    return max(0, int(centre - reach)), min(side, int(centre + reach) + 1)
