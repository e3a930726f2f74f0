"""From records to what a model is shown."""

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
    """Refuse a set with a task the model cannot do or without what it needs.

    Raises:
        UserError: it is refused; the message names the file or option.
    """
    for record in records:
        if not model.can_answer(record.task):
            known = ", ".join(filter(model.can_answer, TASKS))
            raise UserError(
                f"{data_json}: --model {model.name} cannot answer {record.task}"
                f" (it answers {known}); choose another model or set"
            )
        field = lacking(model, record)
        if field is not None:
            raise UserError(
                f"{data_json}: --model {model.name} needs the field {field!r}, which record"
                f" {record.id} does not have; choose another model or set"
            )


def lacking(model: Model, record: TaskRecord) -> str | None:
    """A field that ``model`` needs and ``record`` does not have."""
    return next((n for n in sorted(model.needs) if getattr(record, n) is None), None)


def question_of(
    record: TaskRecord, image_folder: Path | None, *, privileged: bool = False
) -> Question:
    """The question of ``record``; with the record itself only for a privileged model."""
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
    """A short text that changes when one of the files does, judged by size and time of change."""
    stats = []
    for path in paths:
        try:
            stat = path.stat()
            stats.append([stat.st_size, stat.st_mtime_ns])
        except OSError:
            stats.append([-1, -1])
    return sha256_json(stats)[:16]
