"""A task file inside of another evaluation harness, which asks the model itself.

A harness asks for the score of one answer and then, per metric, for the figure of a list of answers. Both
come from the scoring of ``x3 score``, so that figures agree to the last digit.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from x3spatial.conventions.base import named_parts
from x3spatial.conventions.registry import find_convention
from x3spatial.errors import UserError
from x3spatial.evaluation.answers import score_answers, score_text
from x3spatial.evaluation.options import AnswersOptions
from x3spatial.exporters.harnesses.base import QUESTIONS, SETTINGS, TASK_FILE, metrics_of
from x3spatial.formats.image_paths import ImagePaths
from x3spatial.formats.task_file import TaskRecord, read_records
from x3spatial.io.files import read_json
from x3spatial.tasks.boxes import HALF

Part = TypeVar("Part")


class Benchmark:
    """The samples of a task file, and the scoring of their answers.

    Args:
        tasks: the task file; relative paths in it are relative to its folder.
        convention: how the answers write a point, as in ``x3 score --convention``.
        options: further options of the scoring; None for the defaults.

    Raises:
        UserError: the file or the convention cannot be used.
    """

    def __init__(
        self, tasks: str | Path, convention: str, options: AnswersOptions | None = None
    ) -> None:
        path = Path(tasks)
        self._options = options or AnswersOptions()
        self._convention = find_convention(convention).name
        paths = ImagePaths(path, self._options.image_folder, self._options.image_root)
        self.records: Mapping[str, TaskRecord] = {
            record.id: record for record in paths.records(read_records(path))
        }
        """Id → sample, in the order of the file; its paths are those of existing files."""
        self._last: tuple[dict[str, str | None], dict[str, float]] | None = None

    def record(self, id: str) -> TaskRecord:
        """The sample of an id.

        Raises:
            UserError: the task file has none.
        """
        try:
            return self.records[id]
        except KeyError:
            raise UserError(f"id {id!r}: is not in the task file; export it again") from None

    def score(self, id: str, text: str) -> dict[str, Any]:
        """The score of one answer as plain values, for the log of the harness.

        Args:
            id: the sample's id.
            text: the raw text of the model.

        Returns:
            ``id``, ``scene``, ``status``, ``not_visible`` (of the answer), ``point`` ([x, y] or None),
            ``l2_error``, ``hit_mask`` and ``correct``, the last three None where they do not apply; in a
            convention of boxes also ``box`` ([x1, y1, x2, y2] or None), ``iou`` and ``centre_in_mask``.

        Raises:
            UserError: the task file has no such id.
        """
        record = self.record(id)
        entry = score_text(record, text, self._options, convention=self._convention)
        said = entry.pred_parsed
        if entry.gt.is_not_visible:
            right: bool | None = bool(said.is_not_visible)
        else:
            right = entry.correct if entry.hit_mask is None else entry.hit_mask == 1
        boxes = {}
        if entry.box is not None:
            if entry.box.iou is not None:
                right = entry.box.iou >= HALF
            boxes = {
                "box": None if said.box is None else list(said.box),
                "iou": entry.box.iou,
                "centre_in_mask": entry.box.centre_in_mask,
            }
        return {
            "id": id,
            "scene": record.place or record.scene,
            "status": entry.status,
            "not_visible": bool(said.is_not_visible),
            "point": None if said.coord is None else list(said.coord),
            "l2_error": entry.l2_error,
            "hit_mask": entry.hit_mask,
            "correct": right,
            **boxes,
        }

    def figures(self, texts: Mapping[str, str | None]) -> dict[str, float]:
        """The metrics of the samples that were asked, as ``x3 score`` computes them.

        Args:
            texts: id → raw text of the model; None: there is no answer, which counts as an error.

        Returns:
            Metric → value; ``{metric}_ci95_low`` and ``_high``; ``chance_{baseline}_{metric}``. NaN where
            there is none: harnesses take no null.

        Raises:
            UserError: the task file has no such id, no text was given, or a mask cannot be read.
        """
        texts = dict(texts)
        if self._last is not None and self._last[0] == texts:  # harnesses ask metric by metric
            return self._last[1]
        if all(text is None for text in texts.values()):
            raise UserError("no sample has an answer: there is nothing to score")
        asked = [self.record(id) for id in texts]
        result = score_answers(asked, texts, None, self._options, convention=self._convention)
        if result.problems:  # a harness would show NaN without a word
            first = result.problems[0]
            more = f"; and {len(result.problems) - 1} more" if len(result.problems) > 1 else ""
            raise UserError(f"mask {first.path}: {first.reason}{more}; export it again")
        found = {name: _number(value) for name, value in result.metrics.items()}
        for name, interval in result.ci95.items():
            low, high = (None, None) if interval is None else interval
            found[f"{name}_ci95_low"], found[f"{name}_ci95_high"] = _number(low), _number(high)
        for baseline, row in result.chance.items():
            for name, value in (row or {}).items():
                found[f"chance_{baseline}_{name}"] = _number(value)
        self._last = texts, found
        return found


@dataclass(frozen=True, slots=True)
class Exported:
    """A folder that ``x3 export`` wrote for a harness."""

    folder: Path
    task: str
    """The name of the task in the harness."""
    benchmark: Benchmark
    metrics: Mapping[str, bool | None]
    """The figures that the harness shows, and whether more is better."""

    def questions(self) -> list[dict[str, Any]]:
        """The samples in file order: ``id``, ``images`` (absolute paths), ``prompt``, ``answer``, facts, and
        ``image_names`` where the convention names images.
        """
        with open(self.folder / QUESTIONS, encoding="utf-8") as file:
            rows = [json.loads(line) for line in file]
        return [{**row, "images": [self.path(name) for name in row["images"]]} for row in rows]

    @staticmethod
    def names(row: Mapping[str, Any]) -> tuple[str, ...]:
        """The texts before each image of a row of ``questions``; empty for images without names."""
        return named_parts(row.get("image_names", ()))

    def path(self, name: str) -> str:
        """The absolute path of a file that the folder names."""
        return os.path.normpath(self.folder / name)


@cache
def exported(folder: Path) -> Exported:
    """Open a folder that ``x3 export`` wrote for a harness; read once per process.

    Raises:
        UserError: a file of it is missing or damaged.
    """
    settings = read_json(folder / SETTINGS)
    benchmark = Benchmark(folder / TASK_FILE, settings["convention"])
    return Exported(folder, settings["task"], benchmark, metrics_of(settings["convention"]))


def interleaved(names: Sequence[Part], images: Sequence[Part]) -> list[Part]:
    """The parts of a message before its text: each image after its name, if images have names."""
    if not names:
        return [*images]
    return [part for pair in zip(names, images, strict=True) for part in pair]


def _number(value: float | int | None) -> float:
    return math.nan if value is None else float(value)
