"""What a user may ask of the scenes, and whether it makes sense."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import isqrt
from typing import Any

from x3spatial.errors import UserError

VERSION = 1  # raise it when the same settings would give other bytes

STYLES = ("day", "night")

SPLITS = ("train", "validation", "val", "test")
MOST_OBJECTS, MOST_VIEWS = 15, 6


@dataclass(frozen=True)
class SceneOptions:
    """Everything that decides a scene's bytes, besides its split and number.

    ``style``: ``day``, or the same rooms as a ``night`` camera sees them (``styles.seen``).
    ``samples`` per pixel are a square number (an even grid). ``tracer`` is ``tracing.backend()``.
    """

    objects: int
    views: int
    width: int
    height: int
    samples: int
    seed: int
    depth: bool
    tracer: str
    style: str = "day"

    @property
    def side(self) -> int:
        """Samples along a pixel's side."""
        return isqrt(self.samples)

    @property
    def margin(self) -> int:
        """Pixels by which a mask is dilated."""
        return round(0.02 * self.width)

    def record(self) -> dict[str, Any]:
        """The settings as written into ``scene.json``."""
        settings = {"version": VERSION, **asdict(self)}
        if self.style == "day":  # as before there were styles
            del settings["style"]
        return settings


def check(options: SceneOptions, scenes: dict[str, int]) -> None:
    """Raises: UserError, naming the option that cannot be used."""

    def within(name: str, value: int, low: int, high: int) -> None:
        if not low <= value <= high:
            raise UserError(f"--{name} {value}: must be between {low} and {high}")

    within("objects", options.objects, 1, MOST_OBJECTS)
    within("views", options.views, 1, MOST_VIEWS)
    within("width", options.width, 64, 4096)
    within("height", options.height, 64, 4096)
    within("seed", options.seed, 0, 2**63 - 1)
    if not 1 <= options.samples <= 64 or options.side**2 != options.samples:
        raise UserError(
            f"--samples {options.samples}: must be a square number (1, 4, 9, 16, 25 ...)"
        )
    if options.style not in STYLES:
        raise UserError(f"--style {options.style}: expected {' or '.join(STYLES)}")
    if not 0.5 <= options.width / options.height <= 2.5:
        raise UserError(
            f"--width {options.width} --height {options.height}: the longer side must not be"
            " much more than twice the shorter"
        )
    for split, count in scenes.items():
        if split not in SPLITS:
            raise UserError(f"split {split}: must be one of {', '.join(SPLITS)}")
        if not 0 <= count <= 10_000:
            raise UserError(f"{count} scenes for {split}: must be between 0 and 10000")
    if "val" in scenes and "validation" in scenes:
        raise UserError("splits val and validation are the same; name one of them")
    if not sum(scenes.values()):
        raise UserError("no scenes asked for")


def scene_name(split: str, index: int) -> str:
    """Unique over the splits of a root."""
    return f"{'val' if split == 'validation' else split}_{index:04d}"
