"""The question that a model is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from x3spatial.tasks.spec import TASKS

Size = tuple[int, int]
"""(W, H) of an image in pixels."""


@dataclass(frozen=True, slots=True)
class Question:
    """One question with its images."""

    id: str
    task: str
    """The task's name in ``tasks.spec.TASKS``."""
    images: tuple[Path, ...]
    """Image files in prompt order; the answer is a point in the last one."""
    prompt: str
    """The human turn of the record in RoboRefer's format, without ``<image>``."""
    question: str
    """The task alone, without any paragraph on the output format."""
    reference_point: tuple[float, float] | None = None
    """t1_concat: the reference point in the frame of the whole image, normalised."""
    image_sizes: tuple[tuple[int, int], ...] = ()
    """(W, H) of each image; empty if the record does not contain them."""
    record: Mapping[str, Any] | None = None
    """The complete record with its ground truth, its paths joined to the image folder. Only set for models
    that declare ``privileged``."""

    @property
    def is_concat(self) -> bool:
        """Whether the image is side by side; the answer is then a point of the whole image."""
        spec = TASKS.get(self.task)
        return spec is not None and spec.side_by_side
