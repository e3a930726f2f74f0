"""Copies the coordinates of the reference point into the query image, like a model that ignores view B."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from x3spatial.arrays import Bool
from x3spatial.errors import UserError
from x3spatial.io.members import file_at
from x3spatial.models.base import Model
from x3spatial.models.baselines.common import (
    LruCache,
    asks_for_point,
    format_point,
    load_mask,
    needed_field,
)
from x3spatial.tasks.geometry import Point, centre_of
from x3spatial.tasks.ground_truth import mask_target, sample_seed
from x3spatial.tasks.question import Question
from x3spatial.tasks.spec import Views

_STEP = 2e-6


class CopyReference(Model):
    """Answers with the point of A's mask (by the ground-truth rule) as a point of B.

    It is the centre of that point's pixel: the centre of an even box lies on the edge of a pixel, where the
    rounding of multi and concat answers would decide which pixel is hit.

    It never answers NOT_VISIBLE. If the centre of the mask's bounding box is not in the mask, the pixel is
    drawn with a seed from (seed, last three parts of the mask's path), so every pair with this reference
    copies the same point, independent of the location of the data root.
    """

    name = "copy-reference"
    privileged = True
    concurrent = True
    needs = frozenset({"ref_mask"})

    def __init__(self, seed: int = 0, read_mask: Callable[[Path], Bool] = load_mask) -> None:
        self._seed = seed
        self._read_mask = read_mask
        self._point = LruCache(self._read_point, capacity=4096)

    @classmethod
    def create(cls, argument: str | None, options: Mapping[str, Any]) -> Self:
        """Create it with the seed of ``--seed``.

        Raises:
            UserError: there is an argument.
        """
        if argument is not None:
            raise UserError(f"--model copy-reference:{argument}: copy-reference takes no argument")
        return cls(seed=int(options.get("seed", 0)))

    def can_answer(self, task: str) -> bool:
        """Whether the task has a reference view and a query view."""
        return asks_for_point(task, Views.TWO)

    def _read_point(self, name: str) -> Point:
        path = file_at(name)
        mask = self._read_mask(path)
        target = mask_target(mask, sample_seed(self._seed, *path.parts[-3:]))
        if target is None:
            raise ValueError(f"{path}: the reference mask is empty")
        height, width = mask.shape
        centre = centre_of(target.pixel, width, height)
        # Multiples of twice the last decimal, so that the side-by-side image has the same point.
        return Point(*(round(value / _STEP) * _STEP for value in centre))

    def answer(self, questions: Sequence[Question], prepared: Any) -> list[str]:
        """The point of A for each question."""
        return [
            format_point(self._point(needed_field(question, "ref_mask")), question)
            for question in questions
        ]

    def describe(self) -> dict[str, Any]:
        """The seed."""
        return {"seed": self._seed}
