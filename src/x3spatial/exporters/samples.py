"""What a format is given to write: one sample with its images placed and its points written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from x3spatial.errors import UserError
from x3spatial.exporters.image_paths import PlacedImage
from x3spatial.formats.task_file import TaskRecord

IMAGE_TAG = "<image>"
BOX_TAG = "<bbox>"


@dataclass(frozen=True, slots=True)
class Box:
    """A point in pixels of one of the sample's images, for trainers that rescale it themselves."""

    x: float
    y: float
    image: int
    """Index of the image, from 0."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One record, ready to be written."""

    record: TaskRecord
    images: tuple[PlacedImage, ...]
    prompt: str
    """As the trainer shall see it, image tags included where the format has them."""
    answer: str
    boxes: Sequence[Box] | None = None
    """What the placeholders of prompt and answer stand for, in order; None without placeholders."""

    @property
    def image_paths(self) -> list[str]:
        """The paths to be written, in prompt order."""
        return [image.written for image in self.images]

    def tagged(self) -> Sample:
        """The same with one image tag per image in front of the prompt."""
        return replace(self, prompt=f"{IMAGE_TAG}\n" * len(self.images) + self.prompt)

    def check(self, where: str, *, tags: bool) -> None:
        """Count tags and placeholders; ``where`` names the record.

        Raises:
            UserError: the tags do not equal the images, or the placeholders the points.
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
