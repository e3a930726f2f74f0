"""Selection and caching of the masks for scoring."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path

from x3spatial.arrays import Bool
from x3spatial.formats.mask_files import kind_of_mask, mask_candidates
from x3spatial.formats.results_file import MaskChoice
from x3spatial.formats.results_table import NONE, UNKNOWN
from x3spatial.formats.task_file import TaskRecord
from x3spatial.io.images import ImageError, read_mask
from x3spatial.io.members import file_at


@lru_cache(4096)
def join(path: str, image_folder: Path | None) -> Path:
    """A path of a record; relative paths are joined to ``image_folder``.

    Neighbouring records name the same files, and a path takes several times the memory of its text.
    """
    return file_at(path) if image_folder is None else image_folder / path


@dataclass(frozen=True)
class Masks:
    """The masks of one visible sample; None for a missing or unreadable mask."""

    chosen: Bool | None
    tight: Bool | None
    problem: tuple[str, str] | None = None
    """(path, reason) if the selected mask is missing or unreadable."""

    @cached_property
    def area(self) -> float | None:
        """Share of the image that the selected mask covers."""
        return None if self.chosen is None else float(self.chosen.mean())

    @cached_property
    def area_tight(self) -> float | None:
        """The same of the tight mask."""
        return None if self.tight is None else float(self.tight.mean())


NO_MASKS = Masks(None, None)


@dataclass(frozen=True, slots=True)
class _Named:
    """A record by what decides its masks: neighbouring records with the same query view are equal."""

    key: tuple[str | None, ...]
    record: TaskRecord = field(compare=False)

    @classmethod
    def of(cls, record: TaskRecord) -> _Named:
        named = record.query_mask or record.query_original
        key = (
            record.task,
            record.query_mask,
            record.query_mask_kind,
            record.query_original,
            record.images[-1],
            None if named else record.id,  # what is found missing may name the record itself
        )
        return cls(key, record)


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
        self._found = lru_cache(capacity)(self._find)

    def masks(self, record: TaskRecord) -> Masks:
        """The selected and the tight mask of the query image of ``record``."""
        return self._found(_Named.of(record))

    def read(self, path: Path) -> Bool:
        """The mask in a file.

        Raises:
            ImageError: the file is missing, unreadable or damaged; the message names it.
        """
        mask = self._cached(path)
        if isinstance(mask, str):
            raise ImageError(f"{path}: {mask}")
        return mask

    def _find(self, named: _Named) -> Masks:
        record = named.record
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
