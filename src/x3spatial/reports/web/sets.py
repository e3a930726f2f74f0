"""The samples of one set as columns for filters, sorting and plots; their records lie in a spool."""

from __future__ import annotations

import json
import sys
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from x3spatial.errors import UserError
from x3spatial.evaluation.scoring.scores import cluster_of, truth_of
from x3spatial.evaluation.statistics.by_stratum import value_in
from x3spatial.formats.image_paths import ImagePaths, with_paths
from x3spatial.formats.results_entry import SampleResult
from x3spatial.formats.task_file import TaskRecord, iter_records
from x3spatial.reports.gather import TaskSet
from x3spatial.reports.web.encoding import Names, packed
from x3spatial.reports.web.images import Pictures
from x3spatial.reports.web.spool import Spool
from x3spatial.tasks.strata import STRATA

POINT, ABSENT, UNKNOWN = 0, 1, 2
"""Codes of ``truth``."""
NO_IMAGE = 0xFFFFFFFF
_MOST_PROMPTS = 256
"""The first different prompts, of which those that occur again are stored once. Those with a point of the
sample in them all differ."""


def _floats() -> array[float]:
    return array("f")


@dataclass(slots=True)
class SampleColumns:
    """Samples in the order of the task file, or of the first results if there is none."""

    spool: Spool
    pictures: Pictures
    places: dict[str, int] = field(default_factory=dict)
    """Id → place."""
    answers: list[str] = field(default_factory=list)
    """The ground-truth text of each sample."""
    scenes: Names = field(default_factory=Names)
    labels: Names = field(default_factory=Names)
    truth: bytearray = field(default_factory=bytearray)
    tx: array[float] = field(default_factory=_floats)
    ty: array[float] = field(default_factory=_floats)
    area: array[float] = field(default_factory=_floats)
    strata: dict[str, array[float] | Names] = field(default_factory=dict)
    image_a: list[int] = field(default_factory=list)
    image_b: list[int] = field(default_factory=list)
    records: list[int] = field(default_factory=list)
    """Number of each record in the spool, -1 without one."""
    tasks: set[str] = field(default_factory=set)
    splits: set[str] = field(default_factory=set)
    _prompts: dict[str, int] = field(default_factory=dict)
    """Prompt → how often it occurs."""

    def __post_init__(self) -> None:
        for name, stratum in STRATA.items():
            self.strata[name] = array("f") if stratum.bounds else Names()

    def __len__(self) -> int:
        return len(self.places)

    def add_record(self, record: TaskRecord) -> None:
        """Append a sample; the record holds the paths of its files."""
        try:
            truth = truth_of(record)
            kind, point = ABSENT if not truth.visible else POINT, truth.point
            if truth.visible and point is None:
                kind = UNKNOWN
        except UserError:
            kind, point = UNKNOWN, None
        self._add(record.id, record.answer, kind, None if point is None else (point.x, point.y))
        self.scenes.add(cluster_of(record)[0])
        self.labels.add(record.label)
        area = record.mask_area_fraction
        self.area.append(np.nan if area is None else area)
        for name, column in self.strata.items():
            value = value_in(record, STRATA[name])
            if isinstance(column, Names):
                column.add(value if isinstance(value, str) else None)
            else:
                column.append(value if isinstance(value, int | float) else np.nan)
        sizes = record.image_sizes or (None,) * len(record.images)
        numbers = [
            self.pictures.number(path, size)
            for path, size in zip(record.images, sizes, strict=False)
        ]
        self.image_a.append(numbers[0] if len(numbers) > 1 else NO_IMAGE)
        self.image_b.append(numbers[-1] if numbers else NO_IMAGE)
        self.records.append(self.spool.add(json.dumps(record.to_json())))
        if record.prompt in self._prompts or len(self._prompts) < _MOST_PROMPTS:
            self._prompts[record.prompt] = self._prompts.get(record.prompt, 0) + 1
        self.tasks.add(record.task)
        if record.split is not None:
            self.splits.add(record.split)

    def add_entry(self, entry: SampleResult) -> None:
        """Append a sample of which only a result is known."""
        kind = ABSENT if entry.gt.is_not_visible else POINT if entry.gt.coord else UNKNOWN
        self._add(entry.id, entry.gt.text, kind, entry.gt.coord)
        self.scenes.add(entry.scene)
        self.labels.add(None)
        self.area.append(np.nan)
        for column in self.strata.values():
            if isinstance(column, Names):
                column.add(None)
            else:
                column.append(np.nan)
        self.image_a.append(NO_IMAGE)
        self.image_b.append(NO_IMAGE)
        self.records.append(-1)

    def _add(self, id: str, answer: str, kind: int, point: tuple[float, float] | None) -> None:
        self.places[sys.intern(id)] = len(self.places)
        self.answers.append(sys.intern(answer))
        self.truth.append(kind)
        x, y = point if point is not None and kind == POINT else (np.nan, np.nan)
        self.tx.append(x)
        self.ty.append(y)

    def record(self, place: int) -> TaskRecord | None:
        """The record of a sample, with the paths of its files."""
        number = self.records[place]
        return None if number < 0 else TaskRecord.from_json(json.loads(self.spool.get(number)))

    def shared_prompts(self) -> dict[str, int]:
        """Prompts of more than one sample, numbered."""
        again = (prompt for prompt, count in self._prompts.items() if count > 1)
        return {prompt: number for number, prompt in enumerate(again)}

    def present_strata(self) -> list[str]:
        """The strata of which something is known."""
        found = []
        for name, column in self.strata.items():
            if isinstance(column, Names):
                known = bool(column.names)
            else:
                known = not bool(np.isnan(np.frombuffer(column, np.float32)).all())
            if known and len(self):
                found.append(name)
        return found

    def to_json(self) -> dict[str, Any]:
        """The columns without images and runs."""
        strata = {}
        for name in self.present_strata():
            column = self.strata[name]
            strata[name] = column.packed() if isinstance(column, Names) else _packed(column)
        return {
            "n": len(self),
            "scene": self.scenes.packed(),
            "label": self.labels.packed(),
            "truth": packed("u8", np.frombuffer(bytes(self.truth), np.uint8)),
            "tx": _packed(self.tx),
            "ty": _packed(self.ty),
            "area": _packed(self.area),
            "strata": strata,
            "prompts": list(self.shared_prompts()),
        }

    def local_images(self) -> tuple[list[int], dict[str, dict[str, str]]]:
        """The numbers of the set's pictures, and ``image_a``, ``image_b`` as places in that list."""
        numbers = sorted({*self.image_a, *self.image_b} - {NO_IMAGE})
        places = {number: place for place, number in enumerate(numbers)} | {NO_IMAGE: NO_IMAGE}
        columns = {
            name: packed("u32", np.array([places[n] for n in values], np.uint32))
            for name, values in (("image_a", self.image_a), ("image_b", self.image_b))
        }
        return numbers, columns


def _packed(column: array[float]) -> dict[str, str]:
    return packed("f32", np.frombuffer(column, np.float32) if column else np.zeros(0, np.float32))


def read_samples(
    one: TaskSet,
    path: Path,
    folder: Path | None,
    root: Path | None,
    spool: Spool,
    pictures: Pictures,
) -> SampleColumns:
    """The samples of a task file.

    Raises:
        UserError: the file cannot be read, or ``root`` is no folder.
    """
    columns = SampleColumns(spool, pictures)
    for record in located(path, folder, root):
        columns.add_record(record)
    return columns


def located(path: Path, folder: Path | None, root: Path | None) -> Iterator[TaskRecord]:
    """The records of a task file with the paths of their files, one at a time."""
    paths = ImagePaths(path, folder, root)
    for record in iter_records(path):
        yield with_paths(record, paths.find)
