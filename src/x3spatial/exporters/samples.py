"""Input of the export formats: samples with assigned image paths and formatted points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from x3spatial.conventions.base import named_parts
from x3spatial.errors import UserError
from x3spatial.exporters.image_paths import PlacedImage
from x3spatial.formats.task_file import TaskRecord
from x3spatial.tasks.question import Size

IMAGE_TAG = "<image>"
BOX_TAG = "<bbox>"


@dataclass(frozen=True, slots=True)
class Box:
    """A point in pixels of one of the sample's images, for trainers that scale points themselves."""

    x: float
    y: float
    image: int
    """Index of the image, from 0."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One record in the form in which it is exported."""

    record: TaskRecord
    images: tuple[PlacedImage, ...]
    prompt: str
    """The final prompt, including image tags if the format uses them."""
    answer: str
    boxes: Sequence[Box] | None = None
    """The points of the placeholders in prompt and answer, in order; None without placeholders."""
    names: tuple[str, ...] = ()
    """The names of the images, if the message names them."""
    sizes: Sequence[Size] = ()
    """(W, H) of each image in the pixels that the answer counts; empty if it counts none."""
    query_mask: PlacedImage | None = None
    """The query mask; None in formats without masks, and where the record has none."""
    placed: TaskRecord | None = None
    """The record with the paths of its files in the export; None in formats that need the images only."""

    @property
    def image_paths(self) -> list[str]:
        """The image paths in prompt order."""
        return [image.written for image in self.images]

    def tagged(self) -> Sample:
        """The sample with one image tag per image before the prompt, each after the name of its image."""
        if self.names:
            tags = "".join(f"{part}{IMAGE_TAG}" for part in named_parts(self.names))
        else:
            tags = f"{IMAGE_TAG}\n" * len(self.images)
        return replace(self, prompt=tags + self.prompt)

    def check(self, where: str, *, tags: bool) -> None:
        """Check the numbers of tags and placeholders; ``where`` names the record in errors.

        Raises:
            UserError: the number of tags differs from that of images, or that of placeholders from points.
        """
        text = self.prompt + self.answer
        found, wanted = text.count(IMAGE_TAG), len(self.images) if tags else 0
        if found != wanted:
            raise UserError(
                f"{where}: {found} {IMAGE_TAG} tags in the texts, but {wanted} belong there for"
                f" {len(self.images)} images; take the record's own {IMAGE_TAG} out"
            )
        if self.boxes is not None and text.count(BOX_TAG) != len(self.boxes):
            raise UserError(
                f"{where}: {text.count(BOX_TAG)} {BOX_TAG} placeholders in the texts for"
                f" {len(self.boxes)} points; take the record's own {BOX_TAG} out"
            )
