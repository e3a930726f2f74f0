"""Conversion of task records to questions for a model."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, overload

from x3spatial.errors import UserError
from x3spatial.evaluation.scoring.masks import join
from x3spatial.formats.image_paths import PATH_FIELDS
from x3spatial.formats.task_file import TaskRecord
from x3spatial.io.files import sha256_json
from x3spatial.models.base import Model
from x3spatial.tasks.question import Question
from x3spatial.tasks.spec import TASKS


def check_supported(model: Model, records: Sequence[TaskRecord], data_json: Path) -> None:
    """Check that the model can answer all records.

    Raises:
        UserError: the model does not support the task of a record, or a record lacks a field that the model
            needs.
    """
    for record in records:
        if not model.can_answer(record.task):
            known = ", ".join(filter(model.can_answer, TASKS))
            raise UserError(
                f"{data_json}: --model {model.name} cannot answer {record.task}"
                f" (it answers {known}); choose another model or set"
            )
        field = missing_field(model, record)
        if field is not None:
            raise UserError(
                f"{data_json}: --model {model.name} needs the field {field!r}, which record"
                f" {record.id} does not have; choose another model or set"
            )


def missing_field(model: Model, record: TaskRecord) -> str | None:
    """The first field that ``model`` needs and ``record`` lacks; None if there is none."""
    return next((n for n in sorted(model.needs) if getattr(record, n) is None), None)


class Whole(Mapping[str, Any]):
    """A record as JSON values, its paths joined to the image folder; made when more than a path is wanted.

    Most privileged models read one path of it.
    """

    __slots__ = ("_folder", "_record", "_values")

    def __init__(self, record: TaskRecord, image_folder: Path | None) -> None:
        self._record = record
        self._folder = image_folder
        self._values: dict[str, Any] | None = None

    def __getitem__(self, name: str) -> Any:
        if self._values is None and name in PATH_FIELDS:
            return self._joined(getattr(self._record, name))
        return self._made()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._made())

    def __len__(self) -> int:
        return len(self._made())

    def __bool__(self) -> bool:
        return True

    def _made(self) -> dict[str, Any]:
        if self._values is None:
            values = self._record.to_json()
            values["image"] = [self._joined(path) for path in self._record.images]
            values |= {name: self._joined(values[name]) for name in PATH_FIELDS}
            self._values = values
        return self._values

    def _joined(self, path: str | None) -> str | None:
        return None if path is None else str(join(path, self._folder))


class Questions(Sequence[Question]):
    """The questions of records, each made when it is taken: together they take more memory than the records.

    Args:
        records: the records, with the paths of their files.
        privileged: whether the questions contain the record.
    """

    def __init__(self, records: Sequence[TaskRecord], *, privileged: bool) -> None:
        self._records = records
        self._privileged = privileged

    def __len__(self) -> int:
        return len(self._records)

    @overload
    def __getitem__(self, index: int) -> Question: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Question]: ...
    def __getitem__(self, index: int | slice) -> Question | Sequence[Question]:
        if isinstance(index, slice):
            return [self._question(record) for record in self._records[index]]
        return self._question(self._records[index])

    def __iter__(self) -> Iterator[Question]:
        return map(self._question, self._records)

    def _question(self, record: TaskRecord) -> Question:
        return question_of(record, None, privileged=self._privileged)

    def without(self, ids: Collection[str]) -> Questions:
        """Those whose id is not among ``ids``."""
        left = [record for record in self._records if record.id not in ids]
        return Questions(left, privileged=self._privileged)


def question_of(
    record: TaskRecord, image_folder: Path | None, *, privileged: bool = False
) -> Question:
    """The question of ``record``; it only contains the record itself if the model is privileged."""
    return Question(
        id=record.id,
        task=record.task,
        images=tuple(join(path, image_folder) for path in record.images),
        prompt=record.prompt,
        question=record.question or record.prompt,
        reference_point=record.reference_point,
        image_sizes=record.image_sizes,
        record=Whole(record, image_folder) if privileged else None,
    )


def size_and_time(path: Path) -> list[int]:
    """[size, modification time in ns] of a file; [-1, -1] if there is none."""
    try:
        stat = path.stat()
    except OSError:
        return [-1, -1]
    return [stat.st_size, stat.st_mtime_ns]


def files_state(paths: Iterable[Path], look: Callable[[Path], list[int]] = size_and_time) -> str:
    """A short text that changes when the size or modification time of one of the files changes.

    Args:
        paths: the files.
        look: ``size_and_time``, perhaps with a memory.
    """
    return sha256_json([look(path) for path in paths])[:16]
