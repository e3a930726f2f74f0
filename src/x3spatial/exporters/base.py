"""Base class of export formats. A new format is a subclass in its own file and a line in ``registry.py``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from x3spatial.exporters.points import AS_RECORDED, PLACEHOLDER, point_formats
from x3spatial.exporters.samples import Sample


@dataclass(frozen=True, slots=True)
class CardOptions:
    """What only the user knows of a data set that has a card."""

    title: str = "x3spatial benchmark"
    license: str = "unknown"
    """An identifier of the Hub, such as ``cc-by-4.0``; ``unknown`` and ``other`` are ones too."""


class Format(ABC):
    """Writes samples in the format of one trainer."""

    name: ClassVar[str]
    describes: ClassVar[str]
    paths: ClassVar[tuple[str, ...]] = ("absolute", "relative", "copy")
    """The supported keys of ``image_paths.PATHS``; the first is the default."""
    placeholders: ClassVar[bool] = False
    """Whether the trainer scales points itself; placeholders are then the default."""
    tags: ClassVar[bool] = True
    """Whether its prompts contain one ``<image>`` per image."""
    places_names: ClassVar[bool] = False
    """Whether its reader puts the names of images before them, where a convention names them. With tags the
    names stand in the prompt, so that every format with tags can."""
    with_files: ClassVar[bool] = False
    """Whether it refers to all files of a record, masks included, rather than to the images only."""
    with_mask: ClassVar[bool] = False
    """Whether it holds the query mask, so that answers can be scored and rewarded from the export alone."""
    visible_only: ClassVar[bool] = False
    """Whether it has no form for "not visible"; such samples are left out and counted."""
    has_card: ClassVar[bool] = False
    """Whether ``CardOptions`` apply."""
    companion_names: ClassVar[tuple[str, ...]] = ()
    """The names of the additional files that ``companions`` gives."""
    refuses_empty: ClassVar[bool] = False
    """Whether its reader refuses a file without samples; such a task file is left out."""

    def __init__(self, point_format: str | None = None, card: CardOptions | None = None) -> None:
        self.point_format = point_format or self.points()[0]
        """The value of ``--points``."""
        self.card = card or CardOptions()

    @classmethod
    def points(cls) -> tuple[str, ...]:
        """The supported values of ``--points``; the first is the default.

        Without image tags the reader places the images: after their names only if it is told them.
        """
        found = [
            name
            for name, convention in point_formats().items()
            if cls.tags or cls.places_names or not convention.picture_names(2)
        ]
        return (*((PLACEHOLDER,) if cls.placeholders else ()), AS_RECORDED, *found)

    def require(self) -> dict[str, str]:
        """Check that the required packages are installed, and return their versions.

        Raises:
            UserError: a package is missing; the message contains the command that installs it.
        """
        return {}

    @abstractmethod
    def output_name(self, stem: str) -> str:
        """The name of the file or folder that is written for a task file ``{stem}.json``."""

    @abstractmethod
    def write(self, path: Path, samples: Iterable[Sample]) -> None:
        """Write ``path`` atomically; on an error it is not changed."""

    def companions(self, outputs: Mapping[str, str]) -> Mapping[str, Any]:
        """Additional files by name, a text or a JSON value each; asked for when all outputs are written.

        ``outputs`` maps stems of task files to output names.
        """
        return {}
