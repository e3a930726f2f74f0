"""Copies the reference's coordinates into the query image: what a model that ignores B would do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from x3spatial.errors import UserError
from x3spatial.models.base import Model
from x3spatial.models.baselines.common import LruCache, asks_for_point, load_mask, record_path, say
from x3spatial.tasks.geometry import Point
from x3spatial.tasks.ground_truth import mask_target, sample_seed
from x3spatial.tasks.question import Question
from x3spatial.tasks.spec import Views


class CopyReference(Model):
    """The point of A's mask (the ground-truth rule), given as a point of B.

    It never says NOT_VISIBLE. Where the centre of the mask's box is not in the mask, the pixel is
    drawn from (seed, mask path's last three parts), so every pair with this reference copies the
    same point, wherever the data root lies.
    """

    name = "copy-reference"
    privileged = True
    concurrent = True
    needs = frozenset({"ref_mask"})

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed
        self._point = LruCache(self._read_point, capacity=4096)

    @classmethod
    def create(cls, argument: str | None, options: Mapping[str, Any]) -> Self:
        """Takes its seed from ``--seed``."""
        if argument is not None:
            raise UserError(f"--model copy-reference:{argument}: copy-reference takes no argument")
        return cls(seed=int(options.get("seed", 0)))

    def can_answer(self, task: str) -> bool:
        """Tasks with a reference view and a query view."""
        return asks_for_point(task, Views.TWO)

    def _read_point(self, path: Path) -> Point:
        target = mask_target(load_mask(path), sample_seed(self._seed, *path.parts[-3:]))
        if target is None:
            raise ValueError(f"{path}: the reference mask is empty")
        return target.point

    def answer(self, questions: Sequence[Question], prepared: Any) -> list[str]:
        """A's point for each."""
        return [
            say(self._point(record_path(question, "ref_mask")), question) for question in questions
        ]

    def describe(self) -> dict[str, Any]:
        """Its seed."""
        return {"seed": self._seed}
