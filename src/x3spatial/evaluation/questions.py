"""Conversion of task records to questions for a model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from x3spatial.errors import UserError
from x3spatial.evaluation.scoring.masks import join
from x3spatial.formats.task_file import TaskRecord
from x3spatial.io.files import sha256_json
from x3spatial.models.base import Model
from x3spatial.tasks.question import Question
from x3spatial.tasks.spec import TASKS

_PATH_FIELDS = ("query_original", "ref_original", "ref_mask", "query_mask")


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


def question_of(
    record: TaskRecord, image_folder: Path | None, *, privileged: bool = False
) -> Question:
    """The question of ``record``; it only contains the record itself if the model is privileged."""
    whole = None
    if privileged:
        whole = record.to_json()
        whole["image"] = [str(join(path, image_folder)) for path in record.images]
        for name in _PATH_FIELDS:
            if whole[name] is not None:
                whole[name] = str(join(whole[name], image_folder))
    return Question(
        id=record.id,
        task=record.task,
        images=tuple(join(path, image_folder) for path in record.images),
        prompt=record.prompt,
        question=record.question or record.prompt,
        reference_point=record.reference_point,
        image_sizes=record.image_sizes,
        record=whole,
    )


def files_state(paths: Iterable[Path]) -> str:
    """A short text that changes when the size or modification time of one of the files changes."""
    stats = []
    for path in paths:
        try:
            stat = path.stat()
            stats.append([stat.st_size, stat.st_mtime_ns])
        except OSError:
            stats.append([-1, -1])
    return sha256_json(stats)[:16]
