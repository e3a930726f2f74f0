"""What a format is. A new one is a file with a subclass and a line in ``export/registry.py``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from x3spatial.exporters.points import AS_RECORDED, PLACEHOLDER, point_formats
from x3spatial.exporters.samples import Sample


class Format(ABC):
    """Writes samples in the shape that one consumer reads."""

    name: ClassVar[str]
    describes: ClassVar[str]
    paths: ClassVar[tuple[str, ...]] = ("absolute", "relative", "copy")
    """Which of ``places.PATHS`` it can write; the first is the default."""
    placeholders: ClassVar[bool] = False
    """Whether its consumer scales points itself, which then stand as placeholders by default."""
    tags: ClassVar[bool] = True
    """Whether its prompts hold one ``<image>`` per image."""

    @classmethod
    def points(cls) -> tuple[str, ...]:
        """Which ways to write a point it can hold; the first is the default."""
        return (*((PLACEHOLDER,) if cls.placeholders else ()), AS_RECORDED, *point_formats())

    def require(self) -> dict[str, str]:
        """Check that the packages it needs are there; their versions.

        Raises:
            UserError: one is missing; the message has the command that installs it.
        """
        return {}

    @abstractmethod
    def output_name(self, stem: str) -> str:
        """The file or folder written for a task file ``{stem}.json``."""

    @abstractmethod
    def write(self, path: Path, samples: Iterable[Sample]) -> None:
        """Write ``path`` in one step: complete, or as it was."""

    def companions(self, outputs: Mapping[str, str]) -> Mapping[str, Any]:
        """JSON files written beside, by name; ``outputs`` maps stems to what was written."""
        return {}
