"""What runs in a process of Ray: one copy of a model, which answers batches."""

from __future__ import annotations

import os
import platform
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import x3spatial
from x3spatial.errors import UserError
from x3spatial.evaluation.inference import Reply, answer_batch, missing_image, prepare_batch
from x3spatial.evaluation.provenance import versions
from x3spatial.models import registry
from x3spatial.models.base import Model
from x3spatial.tasks.question import Question

_LAUNCHER_VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
"""Of torchrun; a cluster that was started below it would hand them on, and models choose GPUs by them."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a copy of a model is made."""

    model: str | Model
    """``KIND[:ARG]``, or the model object itself, pickled."""
    options: Mapping[str, Any]
    """For ``models.registry.create``."""

    def make(self) -> Model:
        """The model.

        Raises:
            UserError: there is no such model here, or an option is invalid.
        """
        if isinstance(self.model, Model):
            return self.model
        return registry.create(self.model, self.options)


@dataclass(frozen=True, slots=True)
class HostInfo:
    """What a copy of a model says about itself."""

    node: str
    describe: dict[str, Any]
    runtime: dict[str, Any]
    versions: dict[str, str]


class ModelHost:
    """A copy of a model. Two calls run at a time: one batch is prepared while another one is answered.

    Args:
        recipe: how the model is made.
        folder: the working directory of the run, for relative paths in the model's options.
    """

    def __init__(self, recipe: Recipe, folder: str) -> None:
        for name in _LAUNCHER_VARIABLES:
            os.environ.pop(name, None)
        if Path(folder).is_dir():
            os.chdir(folder)
        self._recipe = recipe
        self._model: Model | None = None
        self._preparing, self._answering = threading.Lock(), threading.Lock()

    def start(self, package: str) -> HostInfo:
        """Make the model. Not in the constructor, whose errors Ray reports as a death.

        Args:
            package: the folder of x3spatial on the driver.

        Raises:
            UserError: it cannot be made here.
        """
        with self._preparing:
            if self._model is None:
                self._model = self._recipe.make()
        model = self._model
        described = _elsewhere(model.describe(), str(Path(x3spatial.__file__).parent), package)
        return HostInfo(platform.node(), described, model.runtime(), versions())

    def answer(self, questions: tuple[Question, ...]) -> tuple[dict[str, Reply], dict[str, Any]]:
        """The replies to a batch, and ``Model.runtime`` after it.

        Raises:
            UserError: the model raised it, or an image is missing on this node.
        """
        model = self._model
        assert model is not None, "start was called first"
        for question in questions:
            missing = missing_image(question)
            if missing is not None:
                raise UserError(
                    f"{missing}: is not on {platform.node()}; every node needs the images of a run at the"
                    " same path (docs/cluster.md)"
                )
        with self._preparing:
            batch = prepare_batch(model, questions)
        with self._answering:
            return answer_batch(model, batch), model.runtime()


def _elsewhere(value: Any, here: str, there: str) -> Any:
    """``value`` with paths in the folder ``here`` moved to ``there``.

    Ray copies this package to other nodes, with the model that is inside of it; it is the same model.
    """
    if isinstance(value, str):
        return there + value[len(here) :] if value.startswith(here) else value
    if isinstance(value, Mapping):
        return {key: _elsewhere(part, here, there) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_elsewhere(part, here, there) for part in value]
    return value
