"""Small task sets on disk, and models with answers set by a test."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from x3spatial.arrays import Bool
from x3spatial.formats.results_file import read_results, write_results
from x3spatial.formats.task_file import TaskRecord
from x3spatial.io.files import write_json
from x3spatial.io.images import encode_mask_png, encode_png
from x3spatial.models.base import Model
from x3spatial.tasks.answers import answer_text
from x3spatial.tasks.frames import Frame
from x3spatial.tasks.ground_truth import mask_target
from x3spatial.tasks.question import Question


def box_mask(width: int, height: int, x0: int, y0: int, x1: int, y1: int) -> Bool:
    """True in columns x0..x1 and rows y0..y1, both inclusive."""
    mask = np.zeros((height, width), dtype=bool)
    mask[y0 : y1 + 1, x0 : x1 + 1] = True
    return mask


def make_record(
    folder: Path,
    name: str,
    mask: Bool,
    *,
    task: str = "t1_multi",
    scene: str = "s0",
    uid: str = "1",
    dilated: Bool | None = None,
    ref_mask: Bool | None = None,
    named: bool = True,
) -> TaskRecord:
    """Write the images and masks of one sample and give its record.

    ``named`` False leaves out every field that the source document's own records do not have.
    """
    folder.mkdir(parents=True, exist_ok=True)
    height, width = mask.shape
    place = folder / f"train/{scene}/uid_{uid}"
    place.mkdir(parents=True, exist_ok=True)
    grey = np.full((height, width, 3), 90, np.uint8)
    kind = "inpainted" if task == "t2b_multi" else "original"
    query = place / f"{name}_{kind}.png"
    reference = place / f"{name}A_original.png"
    query.write_bytes(encode_png(grey))
    reference.write_bytes(encode_png(grey))
    tight = place / f"{name}_mask.png"
    tight.write_bytes(encode_mask_png(mask))
    if dilated is not None:
        (place / f"{name}_mask_dialated.png").write_bytes(encode_mask_png(dilated))
    reference_mask = place / f"{name}A_mask.png"
    if ref_mask is not None:
        reference_mask.write_bytes(encode_mask_png(ref_mask))
    frame = Frame.CONCAT_RIGHT if task == "t1_concat" else Frame.IMAGE
    answer = answer_text(mask_target(mask, 7), mask, frame)
    image: tuple[str, ...] | str = (str(reference), str(query))
    if task == "t1_concat":
        wide = folder / f"{name}_concat.png"
        wide.write_bytes(encode_png(np.concatenate([grey, grey], axis=1)))
        image = str(wide)
    ours: dict[str, Any] = {}
    if named:
        ours = {
            "question": "Where is it?",
            "split": "train",
            "scene": scene,
            "uid": uid,
            "ref_original": str(reference),
            "ref_mask": str(reference_mask) if ref_mask is not None else None,
            "query_mask": str(tight),
            "query_mask_kind": "tight",
        }
    return TaskRecord(
        id=f"{task.upper()}_{scene}_uid{uid}_{name}",
        task=task,
        image=image,
        prompt="Where is it? Answer [(x, y)] or NOT_VISIBLE.",
        answer=answer,
        query_original=str(query),
        **ours,
    )


def write_set(path: Path, records: Sequence[TaskRecord]) -> Path:
    """Write a task file."""
    write_json(path, [record.to_json() for record in records])
    return path


def make_set(folder: Path, count: int = 12, scenes: int = 3, **options: Any) -> Path:
    """A task file of ``count`` samples, every fourth of them not visible."""
    records = []
    for number in range(count):
        mask = box_mask(32, 24, 4 + number % 10, 5, 10 + number % 10, 11)
        if number % 4 == 3:
            mask[:] = False
        scene = f"s{number % scenes}"
        records.append(make_record(folder, f"{number:02d}", mask, scene=scene, **options))
    return write_set(folder / "t1_val_multi.json", records)


def rename_model(path: Path, **changes: Any) -> None:
    """Give the results in a file to another model."""
    found = read_results(path)
    model = replace(found.model, **changes)
    settings = replace(found.settings, model=model.name)
    write_results(path, replace(found, model=model, settings=settings))


class Scripted(Model):
    """Answers by sample id; an exception in place of a text is raised. Keeps what it was asked."""

    name = "scripted"

    def __init__(
        self,
        answers: Mapping[str, str | Exception] | None = None,
        default: str = "[(0.300, 0.300)]",
        *,
        seconds: float = 0.0,
        version: str = "1",
    ) -> None:
        self.answers = dict(answers or {})
        self.default = default
        self.seconds = seconds
        self.version = version
        self.batches: list[list[str]] = []
        self.closed = False
        self._lock = threading.Lock()

    @property
    def asked(self) -> list[str]:
        """Every id asked, as often as it was."""
        return [id for batch in self.batches for id in batch]

    def answer(self, questions: Sequence[Question], prepared: Any) -> list[str]:
        with self._lock:
            self.batches.append([question.id for question in questions])
        time.sleep(self.seconds)
        texts = []
        for question in questions:
            text = self.answers.get(question.id, self.default)
            if isinstance(text, Exception):
                raise text
            texts.append(text)
        return texts

    def describe(self) -> dict[str, Any]:
        return {"version": self.version}

    def close(self) -> None:
        self.closed = True


class ConcurrentScripted(Scripted):
    """The same, asked from several threads."""

    concurrent = True
