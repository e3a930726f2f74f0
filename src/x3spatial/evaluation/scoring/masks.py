"""Selection and caching of the masks for scoring."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

from x3spatial.arrays import Bool
from x3spatial.formats.mask_files import kind_of_mask, mask_candidates
from x3spatial.formats.results_file import MaskChoice
from x3spatial.formats.results_table import NONE, UNKNOWN
from x3spatial.formats.task_file import TaskRecord
from x3spatial.io.images import ImageError, read_mask
from x3spatial.io.members import file_at


def join(path: str, image_folder: Path | None) -> Path:
    """The file that a path of a record names; relative paths are joined to ``image_folder``."""
    return file_at(path) if image_folder is None else image_folder / path


@dataclass(frozen=True, slots=True)
class Masks:
    """The masks of one visible sample; None for a missing or unreadable mask."""

    chosen: Bool | None
    tight: Bool | None
    problem: tuple[str, str] | None = None
    """(path, reason) if the selected mask is missing or unreadable."""


NO_MASKS = Masks(None, None)


class MaskFinder:
    """Finds and reads query masks, with a cache. Thread-safe.

    The rules are those of ``mask_candidates``. ``tight`` and ``dilated`` accept only that kind, because rates
    over a mixture of kinds would not be comparable.
    """

    def __init__(self, choice: MaskChoice, image_folder: Path | None, capacity: int = 64) -> None:
        self._choice = choice
        self._folder = image_folder
        self._capacity = capacity
        self._lock = threading.Lock()
        self._read: OrderedDict[Path, Bool | str] = OrderedDict()

    def masks(self, record: TaskRecord) -> Masks:
        """The selected and the tight mask of the query image of ``record``."""
        chosen, problem = self._first(self._candidates(record, self._choice))
        tight, _ = self._first(self._candidates(record, "tight"))
        if chosen is None and problem is None:
            problem = (record.id, "the record names no query image and no mask")
        return Masks(chosen, tight, problem)

    def kind(self, record: TaskRecord) -> str:
        """The kind of mask that ``record`` is scored with: ``tight`` or ``dilated``; ``unknown`` if only the
        files tell, ``none`` if its query view has no mask of the object.
        """
        if record.query_mask is None and record.spec.across_objects:
            return NONE
        if self._choice != "auto":
            return self._choice
        if record.query_mask is None:
            return UNKNOWN
        return kind_of_mask(record.query_mask, record.query_mask_kind)

    def _candidates(self, record: TaskRecord, choice: MaskChoice) -> list[Path]:
        """Candidate paths of the mask, in order of preference."""
        return [join(path, self._folder) for path in mask_candidates(record, choice)]

    def _first(self, paths: list[Path]) -> tuple[Bool | None, tuple[str, str] | None]:
        for path in paths:
            if path.exists():
                mask = self._cached(path)
                return (None, (str(path), mask)) if isinstance(mask, str) else (mask, None)
        return None, (str(paths[0]), "file is missing") if paths else None

    def _cached(self, path: Path) -> Bool | str:
        """The mask, or the reason why it cannot be read."""
        with self._lock:
            if path in self._read:
                self._read.move_to_end(path)
                return self._read[path]
        value: Bool | str
        try:
            value = read_mask(path)
        except ImageError as error:
            value = error.reason
        with self._lock:
            self._read[path] = value
            while len(self._read) > self._capacity:
                self._read.popitem(last=False)
        return value
