"""Who asks a model: this process, or actors with copies of it (``ray_pool``)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Sequence
from typing import Any, ClassVar

from x3spatial.evaluation.inference import Reply, ask
from x3spatial.evaluation.provenance import versions
from x3spatial.models.base import Model
from x3spatial.tasks.question import Question


class Asker(ABC):
    """Asks one model questions in batches.

    Args:
        model: the model in this process. Who asks elsewhere takes only its name and declarations.
    """

    engine: ClassVar[str]
    """Name of the engine, for ``run`` in the results file."""

    def __init__(self, model: Model) -> None:
        self.model = model

    @property
    @abstractmethod
    def actors(self) -> int | None:
        """Number of copies of the model that have answered or may; None in this process."""

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """``Model.describe`` where the model answers."""

    @abstractmethod
    def runtime(self) -> dict[str, Any]:
        """``Model.runtime`` where the model answers."""

    @abstractmethod
    def versions(self) -> dict[str, str]:
        """Versions of the packages where the model answers."""

    @abstractmethod
    def ask(
        self, questions: Sequence[Question], *, batch_size: int, workers: int
    ) -> Generator[dict[str, Reply], None, None]:
        """Yield the replies of each batch by id, in any order of the batches.

        Raises:
            UserError: the model raised it, because a retry cannot succeed.
        """


class LocalAsker(Asker):
    """Asks the model in this process."""

    engine = "local"

    @property
    def actors(self) -> int | None:
        """None: the model is in this process."""
        return None

    def describe(self) -> dict[str, Any]:
        """``Model.describe``."""
        return self.model.describe()

    def runtime(self) -> dict[str, Any]:
        """``Model.runtime``."""
        return self.model.runtime()

    def versions(self) -> dict[str, str]:
        """Versions of this process's packages."""
        return versions()

    def ask(
        self, questions: Sequence[Question], *, batch_size: int, workers: int
    ) -> Generator[dict[str, Reply], None, None]:
        """See ``inference.ask``."""
        return ask(self.model, questions, batch_size=batch_size, workers=workers)
