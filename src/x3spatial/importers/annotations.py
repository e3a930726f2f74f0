"""Masks of objects per image, whichever format they came in (``coco``, ``labelme``, ``mask_files``)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from x3spatial.arrays import Bool
from x3spatial.importers.scene import Problem, Size

MaskOf = Callable[[], Bool]
"""Makes a mask ``[H, W]``; raises ``ImageError`` if its file cannot be read."""


@dataclass(frozen=True)
class ImageMasks:
    """The masks in one image. ``masks`` is by object key; an object that is not in it has no mask."""

    masks: Mapping[str, MaskOf]
    size: Size | None = None
    """Size of the image that was annotated; None: that of the masks' files."""
    displayed: bool = False
    """Whether it was annotated as viewers show it, with the orientation tag applied."""


@dataclass
class Annotations:
    """The masks of a scene. Object keys are the source's own: a track id, a label, a folder's name."""

    labels: dict[str, str] = field(default_factory=dict)
    """Object key → label, in the order of the source."""
    kinds: dict[str, str] = field(default_factory=dict)
    """Object key → kind, where it differs from the label."""
    images: dict[str, ImageMasks] = field(default_factory=dict)
    """Image path as the source writes it, or its file name → masks. Annotated images only, those without any
    object included."""
    problems: list[Problem] = field(default_factory=list)
