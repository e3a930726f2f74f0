"""Flat composites in the layout of a data root: the easiest material that the tasks can be asked about.

Textured shapes lie on a textured ground. Another view moves, scales and turns every shape for itself, and now
and then leaves one out; the inpainted image is drawn without the object. There is no room, no perspective
and no lighting, and objects are several times larger than in the rooms: for the first stages of training a
model from nothing (docs/training-a-tiny-model.md), never for its evaluation.
"""

from __future__ import annotations

import colorsys
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from x3spatial.arrays import Bool, Float64
from x3spatial.engine.local import default_workers, map_unordered
from x3spatial.errors import UserError
from x3spatial.io.files import make_dir, write_bytes
from x3spatial.io.images import encode_mask_png, encode_png
from x3spatial.progress import progress
from x3spatial.synth.options import SPLITS
from x3spatial.synth.world.palette import COLOURS
from x3spatial.synth.world.patterns import fbm
from x3spatial.synth.writer import dilate

SIDE = 112
"""Pixels of a side: that of the fast rooms."""
VIEWS = 4
SHAPES = (4, 7)
"""Fewest and most shapes of a scene unless others are asked for; each is a target."""
MOST_SHAPES = 12
RADII = (6.0, 22.0)
"""Pixels, smallest and largest unless others are asked for; drawn evenly on a logarithmic scale."""
ABSENT = 0.25
"""How often a view other than the first leaves a shape out."""
LEAST = 24
"""Pixels that a shape must show where it is in sight."""
COLOUR_KINDS = ("muted", "vivid")
"""Those of rooms, or saturated ones that are far apart in every scene."""
_KINDS = ("ellipse", "box", "triangle", "cross", "ring")
_DONE = "scene.json"


@dataclass(frozen=True)
class FlatTask:
    """What a worker is told."""

    folder: Path
    seed: int
    shapes: tuple[int, int] = SHAPES
    radii: tuple[float, float] = RADII
    anywhere: bool = False
    colours: str = "muted"


@dataclass(frozen=True)
class _Shape:
    kind: str
    colours: tuple[Float64, Float64]
    stripes: float
    """Stripes across the shape; 0: plain."""
    radius: float
    aspect: float
    angle: float
    centre: tuple[float, float]


def make_flat(
    *,
    out_dir: Path,
    split: str = "train",
    scenes: int,
    shapes: tuple[int, int] = SHAPES,
    radii: tuple[float, float] = RADII,
    anywhere: bool = False,
    colours: str = "muted",
    seed: int = 0,
    workers: int | None = None,
) -> int:
    """Write ``scenes`` flat scenes into ``out_dir``/``split``; those that are whole are kept.

    Args:
        out_dir: the data root.
        split: of the scenes.
        scenes: how many.
        shapes: fewest and most shapes of a scene. Fewer are easier: where there is one, nothing has to be
            told apart.
        radii: smallest and largest radius in pixels of a picture of ``SIDE``.
        anywhere: other views put every shape anywhere, so that only its looks tell which it is; otherwise it
            stays near its first place.
        colours: of shapes: ``muted``, those of rooms, or ``vivid``: plain, saturated, and in every scene
            as far apart as their number allows, so that which is which can be seen at a glance.
        seed: another seed gives other scenes.
        workers: processes; all CPUs unless given.

    Returns:
        How many were made now.

    Raises:
        UserError: the folder cannot be written, or a number makes no sense.
    """
    if scenes < 1:
        raise UserError(f"--scenes {scenes}: must be at least 1")
    if seed < 0:
        raise UserError(f"--seed {seed}: must not be negative")
    if not 1 <= shapes[0] <= shapes[1] <= MOST_SHAPES:
        raise UserError(
            f"--shapes {shapes[0]} {shapes[1]}: expected the fewest and the most, 1 to {MOST_SHAPES}"
        )
    if not 3 <= radii[0] <= radii[1] <= SIDE / 2:
        raise UserError(
            f"--radii {radii[0]:g} {radii[1]:g}: expected the smallest and the largest, 3 to {SIDE // 2}"
        )
    if colours not in COLOUR_KINDS:
        raise UserError(f"--colours {colours}: expected {' or '.join(COLOUR_KINDS)}")
    if split not in SPLITS:
        raise UserError(f"--split {split}: expected one of {', '.join(SPLITS)}")
    make_dir(out_dir / split, "OUT")
    folders = [out_dir / split / f"flat_{split}_{seed}_{number:05d}" for number in range(scenes)]
    todo = [
        FlatTask(folder, seed * 1_000_003 + number, shapes, radii, anywhere, colours)
        for number, folder in enumerate(folders)
        if not (folder / _DONE).is_file()
    ]
    with progress("flat scenes", scenes, done=scenes - len(todo)) as advance:
        for _ in map_unordered(
            write_flat, todo, max(1, min(workers or default_workers(), len(todo)))
        ):
            advance()
    return len(todo)


def write_flat(task: FlatTask) -> int:
    """Write one scene; returns its number of objects."""
    if task.folder.exists():
        shutil.rmtree(task.folder)  # a run that was stopped half way
    rng = np.random.default_rng([7, task.seed])
    shapes = _draw_shapes(rng, task.shapes, task.radii)
    if task.colours == "vivid":
        shapes = _vivid(rng, shapes)
    for view in range(VIEWS):
        ground, layers, there = _view(shapes, rng, first=view == 0, anywhere=task.anywhere)
        order = [number for number in range(len(shapes)) if there[number]]
        original = _paint(ground, layers, order)
        original_png = encode_png(original)
        visible = _visible(layers, order)
        for number in range(len(shapes)):
            mask = visible.get(number, np.zeros((SIDE, SIDE), dtype=bool))
            inpainted_png = original_png
            if mask.any():
                rest = [other for other in order if other != number]
                inpainted_png = encode_png(_paint(ground, layers, rest))
            stem = task.folder / f"uid_{number}" / f"{view + 1:02d}_{10 * (view + 1):06d}"
            stem.parent.mkdir(parents=True, exist_ok=True)
            wide = encode_mask_png(dilate(mask, round(0.02 * SIDE)))
            for kind, data in (
                ("original", original_png),
                ("inpainted", inpainted_png),
                ("mask", encode_mask_png(mask)),
                ("mask_dialated", wide),
            ):
                write_bytes(stem.with_name(f"{stem.name}_{kind}.png"), data)
    write_bytes(task.folder / _DONE, b"{}\n")
    return len(shapes)


def _colour(rng: np.random.Generator) -> Float64:
    """An sRGB colour in [0, 255]; the palette has none near the red of marks."""
    names = sorted(COLOURS)
    tone = np.array(COLOURS[names[int(rng.integers(len(names)))]][int(rng.integers(2))], float)
    return np.clip(255 * tone ** (1 / 2.2) * rng.uniform(0.85, 1.15), 0, 255)


def _vivid(rng: np.random.Generator, shapes: list[_Shape]) -> list[_Shape]:
    """The shapes in plain saturated colours, their hues evenly spread but for chance; none is red."""
    first = rng.random()
    vivid = []
    for shape, place in zip(shapes, rng.permutation(len(shapes)), strict=True):
        hue = (first + (place + rng.uniform(-0.25, 0.25)) / len(shapes)) % 1.0
        red, green, blue = colorsys.hsv_to_rgb(
            0.07 + 0.86 * hue, rng.uniform(0.6, 1.0), rng.uniform(0.5, 1.0)
        )
        colour = 255 * np.array([red, green, blue])
        vivid.append(replace(shape, colours=(colour, colour), stripes=0.0))
    return vivid


def _draw_shapes(
    rng: np.random.Generator, number: tuple[int, int], radii: tuple[float, float]
) -> list[_Shape]:
    shapes: list[_Shape] = []
    for _ in range(int(rng.integers(number[0], number[1] + 1))):
        radius = float(np.exp(rng.uniform(*np.log(radii))))
        for _ in range(20):  # apart from the others where there is room
            centre = tuple(rng.uniform(8, SIDE - 8, 2).tolist())
            if all(
                np.hypot(centre[0] - s.centre[0], centre[1] - s.centre[1])
                > 0.8 * (radius + s.radius)
                for s in shapes
            ):
                break
        shapes.append(
            _Shape(
                kind=_KINDS[int(rng.integers(len(_KINDS)))],
                colours=(_colour(rng), _colour(rng)),
                stripes=float(rng.integers(2, 5)) if rng.random() < 0.4 else 0.0,
                radius=radius,
                aspect=float(rng.uniform(0.6, 1.0)),
                angle=float(rng.uniform(0, 2 * np.pi)),
                centre=(centre[0], centre[1]),
            )
        )
    return shapes


_Layer = tuple[Float64, Float64]
"""Colour [S, S, 3] and opacity [S, S] of a shape."""


def _view(
    shapes: list[_Shape], rng: np.random.Generator, *, first: bool, anywhere: bool
) -> tuple[Float64, list[_Layer], list[bool]]:
    """Ground, layers and which shapes are there; drawn again until none of these shows too little."""
    noise = fbm(rng, int(rng.integers(2, 8)), int(rng.integers(2, 8)), 4, SIDE)
    ground = _colour(rng) * 0.5 + 40 + noise[..., None] * _colour(rng) * 0.35
    for attempt in range(40):
        # Where it is crowded, moving less keeps everything in sight.
        reach = 0.0 if first else 18.0 * max(0.0, 1 - attempt / 40)
        there = [first or rng.random() >= ABSENT for _ in shapes]
        placed = shapes if first or not anywhere else [_elsewhere(shape, rng) for shape in shapes]
        layers = [_layer(shape, rng, reach, first) for shape in placed]
        visible = _visible(layers, [n for n, is_there in enumerate(there) if is_there])
        if all(mask.sum() >= LEAST for mask in visible.values()):
            break
        if first:  # move the shapes themselves apart: the first view shows all
            there = [n in visible and visible[n].sum() >= LEAST for n in range(len(shapes))]
            break
    else:
        there = [there[n] and visible[n].sum() >= LEAST for n in range(len(shapes))]
    return np.clip(ground, 0, 255), layers, there


def _elsewhere(shape: _Shape, rng: np.random.Generator) -> _Shape:
    across, down = rng.uniform(8, SIDE - 8, 2).tolist()
    return replace(shape, centre=(across, down))


def _layer(shape: _Shape, rng: np.random.Generator, reach: float, first: bool) -> _Layer:
    move = rng.uniform(-reach, reach, 2)
    scale = 1.0 if first else float(rng.uniform(0.8, 1.25))
    turn = 0.0 if first else float(rng.uniform(-0.35, 0.35))
    light = 1.0 if first else float(rng.uniform(0.85, 1.15))
    x, y = np.meshgrid(np.arange(SIDE) + 0.5, np.arange(SIDE) + 0.5)
    x, y = x - shape.centre[0] - move[0], y - shape.centre[1] - move[1]
    cos, sin = np.cos(shape.angle + turn), np.sin(shape.angle + turn)
    radius = shape.radius * scale
    u, v = (x * cos + y * sin) / radius, (y * cos - x * sin) / (radius * shape.aspect)
    if shape.kind == "ellipse":
        inside = 1 - np.hypot(u, v)
    elif shape.kind == "box":
        inside = 0.85 - np.maximum(np.abs(u), np.abs(v))
    elif shape.kind == "triangle":
        inside = 0.6 - np.maximum(v, np.abs(u) * 0.87 - v * 0.5)
    elif shape.kind == "cross":
        inside = np.maximum(
            np.minimum(1 - np.abs(u), 0.38 - np.abs(v)), np.minimum(1 - np.abs(v), 0.38 - np.abs(u))
        )
    else:
        inside = 0.28 - np.abs(np.hypot(u, v) - 0.7)
    opacity = np.clip(inside * radius + 0.5, 0, 1)
    share = (np.sin(u * np.pi * shape.stripes) > 0) * 1.0 if shape.stripes else np.zeros_like(u)
    colour = shape.colours[0] * (1 - share[..., None]) + shape.colours[1] * share[..., None]
    return np.clip(colour * light, 0, 255), opacity


def _paint(ground: Float64, layers: list[_Layer], order: list[int]) -> np.ndarray:
    image = ground.copy()
    for number in order:
        colour, opacity = layers[number]
        image += opacity[..., None] * (colour - image)
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def _visible(layers: list[_Layer], order: list[int]) -> dict[int, Bool]:
    """The pixels of each shape that no later one covers."""
    free = np.ones((SIDE, SIDE), dtype=bool)
    visible: dict[int, Bool] = {}
    for number in reversed(order):
        solid = layers[number][1] > 0.5
        visible[number] = solid & free
        free &= ~solid
    return visible
