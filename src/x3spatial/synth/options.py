"""The options of ``x3 scenes`` and their validation."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import isqrt
from typing import Any

from x3spatial.errors import UserError

VERSION = 1  # increase it if the same settings give other bytes

STYLES = ("day", "night")

SCENES = {"train": 2, "validation": 2, "test": 0}
"""How many scenes per split are made unless told otherwise."""
FULL = {"width": 640, "height": 480, "samples": 4}
"""Pixels, and rays per pixel, unless told otherwise."""
FAST = {"width": 112, "height": 112, "samples": 1}
"""The same with ``fast``."""

SPLITS = ("train", "validation", "val", "test")
MAX_OBJECTS, MAX_VIEWS = 15, 6


@dataclass(frozen=True)
class SceneOptions:
    """Everything that decides a scene's bytes, besides its split and number.

    ``width`` and ``height`` are in pixels. ``samples`` per pixel form a square grid. ``style`` is one of
    ``STYLES`` (``styles.apply_style``). ``tracer`` is one of ``raycast.tracer.BACKENDS``.
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

    def to_json(self) -> dict[str, Any]:
        """Return the settings as ``scene.json`` records them."""
        settings = {"version": VERSION, **asdict(self)}
        if self.style == "day":  # not recorded: older scenes have no style
            del settings["style"]
        return settings


def check_options(options: SceneOptions, scenes: dict[str, int]) -> None:
    """Check the options and the number of scenes per split.

    Raises:
        UserError: a value is out of range; the message names the option.
    """

    def within(name: str, value: int, low: int, high: int) -> None:
        if not low <= value <= high:
            raise UserError(f"--{name} {value}: must be between {low} and {high}")

    within("objects", options.objects, 1, MAX_OBJECTS)
    within("views", options.views, 1, MAX_VIEWS)
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
            f"--width {options.width} --height {options.height}: width / height must be"
            " between 0.5 and 2.5"
        )
    for split, count in scenes.items():
        if split not in SPLITS:
            raise UserError(f"split {split}: must be one of {', '.join(SPLITS)}")
        if not 0 <= count <= 10_000:
            raise UserError(f"--{split}: {count} scenes; must be between 0 and 10000")
    if "val" in scenes and "validation" in scenes:
        raise UserError("splits val and validation are the same; name one of them")
    if not sum(scenes.values()):
        raise UserError(
            "no scenes requested; give --train, --validation or --test a number above 0"
        )


def scene_name(split: str, index: int) -> str:
    """Return a scene's folder name, unique over the splits of a root."""
    return f"{'val' if split == 'validation' else split}_{index:04d}"
