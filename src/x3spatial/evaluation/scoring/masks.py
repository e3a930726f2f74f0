"""Selection and caching of the masks for scoring."""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from x3spatial.arrays import Bool
from x3spatial.formats.results_file import MaskChoice
from x3spatial.formats.results_table import NONE, UNKNOWN
from x3spatial.formats.task_file import TaskRecord
from x3spatial.io.images import ImageError, read_mask
from x3spatial.io.members import file_at

# The data uses the spelling "dialated"; the correct spelling is also accepted.
_SUFFIXES = {"tight": ("_mask",), "dilated": ("_mask_dialated", "_mask_dilated")}
_ENDING = re.compile(r"\.(?:png|jpe?g)\Z", re.IGNORECASE)
_IMAGE_KINDS = ("_original", "_inpainted")
_MASK_SUFFIXES = (*_SUFFIXES["dilated"], *_SUFFIXES["tight"])


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

    ``auto`` is the record's ``query_mask``. Without this field the naming rules of the source document apply:
    ``_original.png`` or ``_inpainted.png`` of the query image (else ``.png``) is replaced by
    ``_mask_dialated.png``, then by ``_mask.png``. ``tight`` and ``dilated`` accept only that kind, because
    rates over a mixture of kinds would not be comparable.
    """

    def __init__(self, choice: MaskChoice, image_folder: Path | None, capacity: int = 64) -> None:
        self._choice = choice
        self._folder = image_folder
        self._capacity = capacity
        self._lock = threading.Lock()
        self._read: OrderedDict[Path, Bool | str] = OrderedDict()

    def masks(self, record: TaskRecord) -> Masks:
        """The selected and the tight mask of the query image of ``record``."""
        chosen, problem = self._first(list(self._candidates(record, self._choice)))
        tight, _ = self._first(list(self._candidates(record, "tight")))
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
        return _kind_of(record.query_mask, record.query_mask_kind)

    def _candidates(self, record: TaskRecord, choice: MaskChoice) -> Iterator[Path]:
        """Candidate paths of the mask, in order of preference."""
        if record.query_mask is not None and (
            choice == "auto" or choice == _kind_of(record.query_mask, record.query_mask_kind)
        ):
            yield join(record.query_mask, self._folder)
            return
        if record.spec.across_objects:
            return  # the masks beside the query image are those of another object
        stem = _stem(record)
        if stem is None:
            return
        kinds = ("dilated", "tight") if choice == "auto" else (choice,)
        for kind in kinds:
            for suffix in _SUFFIXES[kind]:
                yield join(f"{stem}{suffix}.png", self._folder)

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


def query_image(record: TaskRecord) -> str | None:
    """The query image's path: ``query_original``, else the last of several images."""
    if record.query_original is not None:
        return record.query_original
    return record.image[-1] if not isinstance(record.image, str) and len(record.image) > 1 else None


def _stem(record: TaskRecord) -> str | None:
    """The path to which mask suffixes are appended, from the query image or its mask."""
    image = query_image(record)
    suffixes: tuple[str, ...] = _IMAGE_KINDS
    if image is None:
        image, suffixes = record.query_mask, _MASK_SUFFIXES
    if image is None:
        return None
    stem = _ENDING.sub("", image)
    for suffix in suffixes:
        if stem.endswith(suffix):
            return stem.removesuffix(suffix)
    return stem


def _kind_of(path: str, stated: str | None) -> str:
    if stated is not None:
        return stated
    dilated = path.removesuffix(".png").endswith(_SUFFIXES["dilated"])
    return "dilated" if dilated else "tight"
