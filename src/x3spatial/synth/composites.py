"""``x3 composites``: 2-D composites of shapes as a data root, easier than rendered rooms.

Textured shapes lie on a textured background. The other views move, scale and rotate each shape
independently and sometimes omit one; the inpainted image is drawn without the object. There is no
perspective and no lighting, and objects are several times larger than in rooms. Composites are for the
first stages of training a model from scratch (docs/training-a-tiny-model.md), not for evaluation.
"""

from __future__ import annotations

import colorsys
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from x3spatial.arrays import Bool, Float64, UInt8
from x3spatial.engine.base import Engine
from x3spatial.engine.registry import open_engine
from x3spatial.errors import UserError
from x3spatial.io.files import make_dir, write_bytes
from x3spatial.io.images import encode_png
from x3spatial.progress import progress
from x3spatial.roots.writer import EncodedView, write_view
from x3spatial.synth.options import SPLITS
from x3spatial.synth.world.palette import COLOURS
from x3spatial.synth.world.patterns import fbm

SIDE = 112
"""Side of the images in pixels, as in fast rooms."""
VIEWS = 4
"""Views per object."""
SHAPES = (4, 7)
"""Default smallest and largest number of shapes in a scene; every shape is a target."""
MAX_SHAPES = 12
"""Upper bound of the number of shapes."""
RADII = (6.0, 22.0)
"""Default smallest and largest radius in pixels; radii are drawn log-uniformly."""
ABSENT_PROBABILITY = 0.25
"""Probability that a view other than the first omits a shape."""
MIN_VISIBLE_PIXELS = 24
"""Smallest visible area of a shape that is present."""
COLOUR_SCHEMES = ("muted", "vivid")
"""The palette of rooms, or saturated colours that are far apart within each scene."""
_KINDS = ("ellipse", "box", "triangle", "cross", "ring")
_DONE = "scene.json"
MAX_SCENES = 1_000_000


@dataclass(frozen=True)
class CompositeJob:
    """One scene to write; picklable."""

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
    """Number of stripes across the shape; 0: one colour."""
    radius: float
    """In pixels."""
    aspect: float
    angle: float
    """In radians."""
    centre: tuple[float, float]
    """(x, y) in pixels."""


def make_composites(
    out_dir: str | Path,
    *,
    split: str = "train",
    scenes: int = 100,
    shapes: tuple[int, int] = SHAPES,
    radii: tuple[float, float] = RADII,
    anywhere: bool = False,
    colours: str = "muted",
    seed: int = 0,
    workers: int | None = None,
    engine: str | Engine = "local",
    ray_address: str | None = None,
) -> int:
    """Write composite scenes into ``out_dir``/``split``; complete scenes of earlier runs are kept.

    Args:
        out_dir: the data root to write.
        split: folder name of the split.
        scenes: number of scenes.
        shapes: smallest and largest number of shapes in a scene. Fewer are easier: a single shape has no
            distractors.
        radii: smallest and largest radius in pixels; images have ``SIDE`` x ``SIDE`` pixels.
        anywhere: place shapes independently in each view, so that only appearance identifies them; else
            they stay near their position in the first view.
        colours: ``muted``: the palette of rooms; ``vivid``: one saturated colour per shape, with hues spread
            evenly over the shapes of a scene.
        seed: random seed of the scenes.
        workers: processes; None for one per usable CPU.
        engine: a name in ``engine.registry.ENGINES``, or an engine that is open.
        ray_address: for ``ray``: the cluster to join; None to start Ray on this machine.

    Returns:
        Number of scenes made by this run.

    Raises:
        UserError: ``out_dir`` cannot be written, or an option is out of range.
        UnitsFailed: a scene could not be made; all others are done.
    """
    out_dir = Path(out_dir)
    if not 1 <= scenes <= MAX_SCENES:
        raise UserError(f"--scenes {scenes}: must be between 1 and {MAX_SCENES}")
    if seed < 0:
        raise UserError(f"--seed {seed}: must not be negative")
    if not 1 <= shapes[0] <= shapes[1] <= MAX_SHAPES:
        raise UserError(
            f"--shapes {shapes[0]} {shapes[1]}: expected MIN MAX with 1 <= MIN <= MAX <= {MAX_SHAPES}"
        )
    if not 3 <= radii[0] <= radii[1] <= SIDE / 2:
        raise UserError(
            f"--radii {radii[0]:g} {radii[1]:g}: expected MIN MAX with 3 <= MIN <= MAX <= {SIDE // 2}"
        )
    if colours not in COLOUR_SCHEMES:
        raise UserError(f"--colours {colours}: expected {' or '.join(COLOUR_SCHEMES)}")
    if split not in SPLITS:
        raise UserError(f"--split {split}: expected one of {', '.join(SPLITS)}")
    make_dir(out_dir / split, "--out")
    # "flat": composites were first called flat scenes. Existing roots must be continued, so the name stays.
    folders = [out_dir / split / f"flat_{split}_{seed}_{number:05d}" for number in range(scenes)]
    todo = [
        CompositeJob(folder, seed * 1_000_003 + number, shapes, radii, anywhere, colours)
        for number, folder in enumerate(folders)
        if not (folder / _DONE).is_file()
    ]

    def name(job: CompositeJob) -> str:
        return f"{split}/{job.folder.name}"

    with (
        open_engine(engine, ray_address) as opened,
        progress("composites", scenes, done=scenes - len(todo)) as advance,
    ):
        for _ in opened.map(write_composite, todo, workers=workers, name=name, folders=[out_dir]):
            advance()
    return len(todo)


def write_composite(job: CompositeJob) -> int:
    """Write one scene and return its number of objects."""
    if job.folder.exists():
        shutil.rmtree(job.folder)  # left by an interrupted run
    rng = np.random.default_rng([7, job.seed])
    shapes = _draw_shapes(rng, job.shapes, job.radii)
    if job.colours == "vivid":
        shapes = _with_vivid_colours(rng, shapes)
    for view in range(VIEWS):
        background, layers, present = _view(shapes, rng, first=view == 0, anywhere=job.anywhere)
        order = [number for number in range(len(shapes)) if present[number]]
        original = _paint(background, layers, order)
        original_png = encode_png(original)
        visible = _visible(layers, order)
        for number in range(len(shapes)):
            mask = visible.get(number, np.zeros((SIDE, SIDE), dtype=bool))
            inpainted_png = original_png
            if mask.any():
                rest = [other for other in order if other != number]
                inpainted_png = encode_png(_paint(background, layers, rest))
            folder = job.folder / f"uid_{number}"
            folder.mkdir(parents=True, exist_ok=True)
            seen = EncodedView(original_png, mask, inpainted_png)
            write_view(folder, view + 1, f"{10 * (view + 1):06d}", seen)
    write_bytes(job.folder / _DONE, b"{}\n")
    return len(shapes)


def _colour(rng: np.random.Generator) -> Float64:
    """Draw a colour [3] in [0, 255] from the palette, which has none near the red of marks."""
    names = sorted(COLOURS)
    tone = np.array(COLOURS[names[int(rng.integers(len(names)))]][int(rng.integers(2))], float)
    return np.clip(255 * tone ** (1 / 2.2) * rng.uniform(0.85, 1.15), 0, 255)


def _with_vivid_colours(rng: np.random.Generator, shapes: list[_Shape]) -> list[_Shape]:
    """Recolour shapes with one saturated colour each; hues are spread evenly, with jitter, none red."""
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
        for _ in range(20):  # apart from the other shapes, if a position is found
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
"""Colour [S, S, 3] in [0, 255] and opacity [S, S] in [0, 1] of a shape."""


def _view(
    shapes: list[_Shape], rng: np.random.Generator, *, first: bool, anywhere: bool
) -> tuple[Float64, list[_Layer], list[bool]]:
    """Draw a view until every present shape is visible enough.

    Returns:
        The background [S, S, 3], one layer per shape, and which shapes are present.
    """
    noise = fbm(rng, int(rng.integers(2, 8)), int(rng.integers(2, 8)), 4, SIDE)
    background = _colour(rng) * 0.5 + 40 + noise[..., None] * _colour(rng) * 0.35
    for attempt in range(40):
        # Smaller shifts in later attempts: in crowded scenes they cover fewer shapes.
        reach = 0.0 if first else 18.0 * max(0.0, 1 - attempt / 40)
        present = [first or rng.random() >= ABSENT_PROBABILITY for _ in shapes]
        placed = (
            shapes if first or not anywhere else [_at_random_place(shape, rng) for shape in shapes]
        )
        layers = [_layer(shape, rng, reach, first) for shape in placed]
        visible = _visible(layers, [n for n, is_there in enumerate(present) if is_there])
        if all(mask.sum() >= MIN_VISIBLE_PIXELS for mask in visible.values()):
            break
        if first:  # positions are fixed: drop the shapes that others cover
            present = [
                n in visible and visible[n].sum() >= MIN_VISIBLE_PIXELS for n in range(len(shapes))
            ]
            break
    else:
        present = [
            present[n] and visible[n].sum() >= MIN_VISIBLE_PIXELS for n in range(len(shapes))
        ]
    return np.clip(background, 0, 255), layers, present


def _at_random_place(shape: _Shape, rng: np.random.Generator) -> _Shape:
    across, down = rng.uniform(8, SIDE - 8, 2).tolist()
    return replace(shape, centre=(across, down))


def _layer(shape: _Shape, rng: np.random.Generator, reach: float, first: bool) -> _Layer:
    shift = rng.uniform(-reach, reach, 2)
    scale = 1.0 if first else float(rng.uniform(0.8, 1.25))
    rotation = 0.0 if first else float(rng.uniform(-0.35, 0.35))
    brightness = 1.0 if first else float(rng.uniform(0.85, 1.15))
    x, y = np.meshgrid(np.arange(SIDE) + 0.5, np.arange(SIDE) + 0.5)
    x, y = x - shape.centre[0] - shift[0], y - shape.centre[1] - shift[1]
    cos, sin = np.cos(shape.angle + rotation), np.sin(shape.angle + rotation)
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
    return np.clip(colour * brightness, 0, 255), opacity


def _paint(background: Float64, layers: list[_Layer], order: list[int]) -> UInt8:
    image = background.copy()
    for number in order:
        colour, opacity = layers[number]
        image += opacity[..., None] * (colour - image)
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def _visible(layers: list[_Layer], order: list[int]) -> dict[int, Bool]:
    """Return, per shape, the mask [S, S] of the pixels that no later shape covers."""
    free = np.ones((SIDE, SIDE), dtype=bool)
    visible: dict[int, Bool] = {}
    for number in reversed(order):
        solid = layers[number][1] > 0.5
        visible[number] = solid & free
        free &= ~solid
    return visible
