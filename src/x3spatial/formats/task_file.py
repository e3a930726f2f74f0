"""Task records: the LLaVA-style JSON that the build writes and that evaluation and training read."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, get_type_hints

from x3spatial.errors import UserError
from x3spatial.io.files import read_manifest
from x3spatial.io.json_stream import iter_array
from x3spatial.tasks.spec import TASKS, TaskSpec, Views


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRecord:
    """One sample. The fields from ``question`` on are extensions: None in records of other builders."""

    id: str
    """Unique in its file."""
    task: str
    image: tuple[str, ...] | str
    """Image paths in prompt order; a single string for a side-by-side image."""
    query_original: str | None = None
    """The query image; for t2b_multi the image before the removal."""
    prompt: str
    """The human turn, without ``<image>``."""
    answer: str
    """The ground-truth answer, in the frame of the last image."""
    question: str | None = None
    """The question without the paragraph on the output format."""
    reference_point: tuple[float, float] | None = None
    """t1_concat: the point in A, normalised in the whole image."""
    split: str | None = None
    """Name of the split folder: ``train``, ``validation``, ``val`` or ``test``."""
    scene: str | None = None
    uid: str | None = None
    """Id of the object, unique in its scene."""
    label: str | None = None
    """Name of the object."""
    ref_rank: str | None = None
    ref_frame: str | None = None
    query_rank: str | None = None
    query_frame: str | None = None
    ref_original: str | None = None
    ref_mask: str | None = None
    query_mask: str | None = None
    query_mask_kind: str | None = None
    """``tight`` or ``dilated``."""
    image_sizes: tuple[tuple[int, int], ...] = ()
    """(width, height) of each image."""
    mask_area_fraction: float | None = None
    """The share of the query image that its mask covers."""

    @property
    def images(self) -> tuple[str, ...]:
        """The image paths as a tuple, also for a single image."""
        return (self.image,) if isinstance(self.image, str) else self.image

    @property
    def spec(self) -> TaskSpec:
        """The record's task."""
        return TASKS[self.task]

    @property
    def is_concat(self) -> bool:
        """Whether the image is side by side; the answer is then in its frame."""
        return self.spec.side_by_side

    def to_json(self) -> dict[str, Any]:
        """The record as a JSON object of the file, with both turns in ``conversations``."""
        value: dict[str, Any] = {}
        for name in _FIELDS:
            if name == "prompt":
                value["conversations"] = [
                    {"from": "human", "value": self.prompt},
                    {"from": "gpt", "value": self.answer},
                ]
            elif name != "answer":
                value[name] = _plain(getattr(self, name))
        if self.reference_point is None:
            del value["reference_point"]
        return value

    @classmethod
    def from_json(cls, value: Any) -> TaskRecord:
        """Read a record of this package or of another builder.

        Without a field ``task`` the task is derived from the images: one image is t1_concat,
        ``X_original.png`` with ``X_inpainted.png`` of the same view t2b_multi, others t1_multi.

        Raises:
            ValueError: a required field is missing or has the wrong type.
        """
        if not isinstance(value, Mapping):
            raise ValueError(f"expected an object, found {type(value).__name__}")
        image = value.get("image")
        if isinstance(image, list) and image and all(isinstance(p, str) and p for p in image):
            image = tuple(image)
        elif not isinstance(image, str) or not image:
            raise ValueError("field 'image' must be a path or a non-empty list of paths")
        task = value.get("task") or _task_of(image)
        if not isinstance(task, str) or task not in TASKS:
            raise ValueError(f"field 'task' is {task!r}; known are {', '.join(TASKS)}")
        count, expected = 1 if isinstance(image, str) else len(image), TASKS[task].image_count
        if count != expected:
            raise ValueError(f"field 'image' holds {count} image(s); {task} shows {expected}")
        point = value.get("reference_point")
        area = value.get("mask_area_fraction")
        if area is not None and not isinstance(area, int | float):
            raise ValueError("field 'mask_area_fraction' must be a number")
        try:
            return cls(
                id=_text(value, "id"),
                task=task,
                image=image,
                prompt=_turn(value, 0, "human"),
                answer=_turn(value, 1, "gpt"),
                reference_point=None if point is None else (float(point[0]), float(point[1])),
                image_sizes=tuple((int(w), int(h)) for w, h in value.get("image_sizes") or ()),
                mask_area_fraction=area,
                **{name: _optional_text(value, name) for name in _TEXT_FIELDS},
            )
        except (TypeError, IndexError, KeyError, OverflowError) as error:
            raise ValueError(f"malformed field: {error}") from None


_FIELDS = tuple(field.name for field in fields(TaskRecord))
_TEXT_FIELDS = tuple(
    name for name, hint in get_type_hints(TaskRecord).items() if hint == str | None
)
"""Optional text fields."""


def _plain(value: Any) -> Any:
    """``value`` with lists in place of tuples."""
    return [_plain(part) for part in value] if isinstance(value, tuple) else value


_VIEW = re.compile(r"(.*)_(original|inpainted)\.(?:png|jpe?g)", re.IGNORECASE | re.DOTALL)


def _task_of(image: tuple[str, ...] | str) -> str:
    """The task of a record without ``task``, derived from its images: the first task of that shape."""
    if isinstance(image, str):
        return next(name for name, spec in TASKS.items() if spec.side_by_side)
    kinds = [_VIEW.fullmatch(path) for path in image]
    same_view = (
        len(kinds) == 2
        and kinds[0] is not None
        and kinds[1] is not None
        and kinds[0].groups() == (kinds[1][1], "original")
        and kinds[1][2] == "inpainted"
    )
    views = Views.TWICE if same_view else Views.TWO
    return next(
        name for name, spec in TASKS.items() if spec.views is views and not spec.side_by_side
    )


def _text(value: Mapping[str, Any], name: str) -> str:
    text = value.get(name)
    if not isinstance(text, str) or not text:
        raise ValueError(f"field {name!r} must be a non-empty string")
    return text


def _optional_text(value: Mapping[str, Any], name: str) -> str | None:
    text = value.get(name)
    if text is not None and not isinstance(text, str):
        raise ValueError(f"field {name!r} must be a string")
    return text


def _turn(value: Mapping[str, Any], index: int, speaker: str) -> str:
    turns = value.get("conversations")
    if not isinstance(turns, list) or len(turns) < 2:
        raise ValueError("field 'conversations' must hold a human and a gpt turn")
    turn = turns[index]
    if not isinstance(turn, Mapping) or turn.get("from") != speaker:
        raise ValueError(f"conversation turn {index + 1} must be from {speaker!r}")
    return _text(turn, "value")


def check_exists(path: Path, what: str = "task file") -> None:
    """Check that a task file exists.

    Args:
        path: the file.
        what: how the message calls it.

    Raises:
        UserError: it does not; the message names the command that writes it, or what the build beside it
            has.
    """
    if os.path.lexists(path):
        return
    manifest = read_manifest(path.parent / "build.json") or {}
    splits, files = manifest.get("counts"), manifest.get("files")
    if not isinstance(splits, dict) or not isinstance(files, dict):
        hint = f"build it first: x3 build ROOT -o {path.parent}"
    elif "_train_" in path.name and "train" not in splits:
        root = manifest.get("data_root")
        hint = f"the data root {root} has no train split, so there is nothing to train on"
    else:
        hint = f"the build there has {', '.join(files) or 'no samples'}"
    raise UserError(f"{path}: no such {what}; {hint}")


def iter_records(path: Path) -> Iterator[TaskRecord]:
    """The records of a task file in file order, in constant memory except for the ids.

    Raises:
        UserError: the file is missing or not a JSON array, a record is malformed, or an id occurs twice.
    """
    check_exists(path)
    seen: set[str] = set()
    for number, value in enumerate(iter_array(path), start=1):
        try:
            record = TaskRecord.from_json(value)
        except ValueError as error:
            raise UserError(f"{path}: record {number}: {error}") from None
        if record.id in seen:
            raise UserError(f"{path}: record {number}: id {record.id!r} occurs twice")
        seen.add(record.id)
        yield record


def read_records(path: Path) -> list[TaskRecord]:
    """All records of a task file.

    Raises:
        UserError: see ``iter_records``.
    """
    return list(iter_records(path))


def read_tasks(path: str | Path) -> list[TaskRecord]:
    """All records of a task file.

    Raises:
        UserError: the file is missing or not a JSON array, a record is malformed, or an id occurs twice.
    """
    return read_records(Path(path))
