"""A question as a model is asked it."""

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
    """One question with its images, exactly as a record shows it to a model."""

    id: str
    task: str
    """The task's name in ``tasks.spec.TASKS``."""
    images: tuple[Path, ...]
    """In the order the prompt speaks of them; the answer is a point of the last one."""
    prompt: str
    """The human turn of the record: question and format as RoboRefer is asked, no ``<image>``."""
    question: str
    """The task alone, without any paragraph on the output format."""
    reference_point: tuple[float, float] | None = None
    """t1_concat: the reference point in the frame of the whole image, normalised."""
    image_sizes: tuple[tuple[int, int], ...] = ()
    """(W, H) of each image where the record says so."""
    record: Mapping[str, Any] | None = None
    """The whole record, ground truth included, its paths joined to the image folder: set only for
    models that declare ``privileged``."""

    @property
    def is_concat(self) -> bool:
        """Whether the question shows one side-by-side image, and the answer is a point of the whole."""
        spec = TASKS.get(self.task)
        return spec is not None and spec.side_by_side
