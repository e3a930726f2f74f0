"""Task records: the LLaVA-style JSON that the build writes and that evaluation and training read."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, get_type_hints

from x3spatial.errors import UserError
from x3spatial.formats import record_fields
from x3spatial.formats.shared import Shared
from x3spatial.formats.task_source import iter_values
from x3spatial.io.files import read_manifest
from x3spatial.io.locations import local_path, url_of
from x3spatial.program.collector import collector_paused
from x3spatial.tasks.spec import TASKS, TaskSpec, Views
from x3spatial.tasks.strata import Strata


def _itself(value: Any) -> Any:
    """``value``; the default where nothing is shared."""
    return value


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
    twin: str | None = None
    """t1_counterfactual: id of the t1_multi sample that asks the question with the object in place."""
    place: str | None = None
    """Where the scene was recorded, if its ``scene.json`` says so."""
    absence: str | None = None
    """t1_negatives: why view B does not show the object: ``framing``, ``occlusion``, ``both`` or
    ``other_scene``."""
    verified: str | None = None
    """t1_negatives: how that is known: ``geometry`` (poses and visibility) or ``none``."""
    strata: Strata | None = None
    """What ``scene.json`` says of the sample; only in roots with such files."""

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
        for name in _LEFT_OUT:
            if value[name] is None:
                del value[name]
        return value

    @classmethod
    def from_json(cls, value: Any, shared: Callable[[Any], Any] = _itself) -> TaskRecord:
        """Read a record of this package or of another builder.

        Without a field ``task`` the task is derived from the images: one image is t1_concat,
        ``X_original.png`` with ``X_inpainted.png`` of the same view t2b_multi, others t1_multi.

        Args:
            value: the JSON object.
            shared: makes one object of equal values of several records (``Shared``), which have their
                prompts and most of their paths in common.

        Raises:
            ValueError: a required field is missing or has the wrong type.
        """
        if not isinstance(value, Mapping):
            raise ValueError(f"expected an object, found {type(value).__name__}")
        image = record_fields.images(value)
        task = value.get("task")
        if task is None or task == "":
            task = _task_of(image)
        if not isinstance(task, str) or task not in TASKS:
            shown = record_fields.shown(task)
            raise ValueError(f"field 'task' is {shown}; known are {', '.join(TASKS)}")
        count, expected = 1 if isinstance(image, str) else len(image), TASKS[task].image_count
        if count != expected:
            raise ValueError(f"field 'image' holds {count} image(s); {task} shows {expected}")
        strata = value.get("strata")
        return cls(
            id=record_fields.required_text(value, "id"),
            task=shared(task),
            image=shared(image) if isinstance(image, str) else tuple(map(shared, image)),
            prompt=shared(_turn(value, 0, "human")),
            answer=_turn(value, 1, "gpt"),
            reference_point=record_fields.point(value, "reference_point"),
            image_sizes=shared(record_fields.sizes(value, "image_sizes")),
            mask_area_fraction=record_fields.fraction(value, "mask_area_fraction"),
            strata=None if strata is None else Strata.from_json(strata),
            **{
                name: shared(text)
                for name in _TEXT_FIELDS
                if (text := record_fields.optional_text(value, name)) is not None
            },
        )


_LEFT_OUT = ("reference_point", "twin", "place", "absence", "verified", "strata")
"""Fields that are omitted where they are None."""
_FIELDS = tuple(field.name for field in fields(TaskRecord))
_TEXT_FIELDS = tuple(
    name for name, hint in get_type_hints(TaskRecord).items() if hint == str | None
)
"""Optional text fields."""


def _plain(value: Any) -> Any:
    """``value`` with lists in place of tuples and objects in place of strata."""
    if isinstance(value, Strata):
        return value.to_json()
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


def _turn(value: Mapping[str, Any], index: int, speaker: str) -> str:
    turns = value.get("conversations")
    if not isinstance(turns, list) or len(turns) < 2:
        raise ValueError("field 'conversations' must hold a human and a gpt turn")
    turn = turns[index]
    if not isinstance(turn, Mapping) or turn.get("from") != speaker:
        raise ValueError(f"conversation turn {index + 1} must be from {speaker!r}")
    return record_fields.required_text(turn, "value")


def check_exists(path: Path, what: str = "task file") -> None:
    """Check that a task file exists.

    Args:
        path: the file.
        what: how the message calls it.

    Raises:
        UserError: it does not; the message names the command that writes it, or what the build beside it
            has.
    """
    if os.path.lexists(local_path(path)) or url_of(path) is not None:
        return
    manifest = read_manifest(path.parent / "build.json") or {}
    splits, files = manifest.get("counts"), manifest.get("files")
    unmade = _why_not_made(path, manifest)
    if unmade is not None:
        hint = f"the build there could not make it: {unmade}"
    elif not isinstance(splits, dict) or not isinstance(files, dict):
        hint = f"build it first: x3 build ROOT -o {path.parent}"
    elif "_train_" in path.name and "train" not in splits:
        root = manifest.get("data_root")
        hint = f"the data root {root} has no train split, so there is nothing to train on"
    else:
        hint = f"the build there has {', '.join(files) or 'no samples'}"
    raise UserError(f"{path}: no such {what}; {hint}")


def _why_not_made(path: Path, manifest: Mapping[str, Any]) -> str | None:
    """The reason in a build's manifest why it could not make a task file; None if it has none."""
    for entry in manifest.get("not_made") or ():
        split = "val" if entry["split"] == "validation" else entry["split"]
        if entry["task"] in TASKS and TASKS[entry["task"]].file(split) == path.name:
            return str(entry["reason"])
    return None


def iter_records(path: Path) -> Iterator[TaskRecord]:
    """The records of a task file in file order, in constant memory except for the ids.

    Args:
        path: the file, or a set of a pack, whose paths are the names of its members (see ``ImagePaths``).

    Raises:
        UserError: the file is missing or not a JSON array, a record is malformed, or an id occurs twice.
    """
    return (record for _, record in iter_with_values(path))


def iter_with_values(path: Path) -> Iterator[tuple[dict[str, Any], TaskRecord]]:
    """The records as ``iter_records``, each after the JSON object that it was read from.

    Raises:
        UserError: see ``iter_records``.
    """
    check_exists(path)
    shared = Shared()
    seen: set[str] = set()
    for number, value in enumerate(iter_values(path), start=1):
        try:
            record = TaskRecord.from_json(value, shared)
        except ValueError as error:
            raise UserError(f"{path}: record {number}: {error}") from None
        if record.id in seen:
            shown = record_fields.shown(record.id)
            raise UserError(f"{path}: record {number}: id {shown} occurs twice")
        seen.add(record.id)
        yield value, record


def read_records(path: Path) -> list[TaskRecord]:
    """All records of a task file.

    Raises:
        UserError: see ``iter_records``.
    """
    with collector_paused():
        return list(iter_records(path))


def read_tasks(path: str | Path) -> list[TaskRecord]:
    """All records of a task file.

    Raises:
        UserError: the file is missing or not a JSON array, a record is malformed, or an id occurs twice.
    """
    return read_records(Path(path))
