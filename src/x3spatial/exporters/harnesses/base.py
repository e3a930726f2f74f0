"""What the exports for harnesses share: a folder per task file with the samples and with what asks them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import Any

from x3spatial.conventions.registry import CONVENTIONS
from x3spatial.exporters.base import Format
from x3spatial.exporters.points import PLACEHOLDER
from x3spatial.exporters.samples import Sample
from x3spatial.exporters.text_files import write_json_lines
from x3spatial.formats.image_paths import with_paths
from x3spatial.formats.task_file import TaskRecord
from x3spatial.io.files import replacing_dir, write_json
from x3spatial.io.json_stream import JsonArrayWriter
from x3spatial.tasks.spec import TASKS

TASK_FILE = "tasks.json"
"""The samples as a task file, which scoring reads; its paths are those of the export."""
QUESTIONS = "questions.jsonl"
"""One object per sample: ``id``, ``images`` (paths), ``prompt``, ``answer``, and what to group by."""
SETTINGS = "x3_export.json"
"""What the folder's code reads: the convention of the answers, and titles."""
_VISIBILITY: dict[str, bool | None] = {
    "not_visible_accuracy": True,
    "false_not_visible_rate": False,
    "balanced_accuracy": True,
    "balanced_accuracy_ci95_low": None,
    "balanced_accuracy_ci95_high": None,
    "parse_failures": False,
}
METRICS: dict[str, bool | None] = {
    "hit_at_mask": True,
    "hit_at_mask_ci95_low": None,
    "hit_at_mask_ci95_high": None,
    "chance_uniform_hit_at_mask": None,
    "success_010": True,
    "mean_l2_error": False,
    **_VISIBILITY,
}
"""Figure → whether more is better; None for what is not a quality. ``x3 score`` on a log gives the others."""
BOX_METRICS: dict[str, bool | None] = {
    "mean_iou": True,
    "mean_iou_ci95_low": None,
    "mean_iou_ci95_high": None,
    "chance_whole-image_mean_iou": None,
    "chance_centre-box_mean_iou": None,
    "iou_050": True,
    "centre_in_mask": True,
    **_VISIBILITY,
}
"""The same where the model is asked for boxes."""


def metrics_of(convention: str) -> dict[str, bool | None]:
    """The figures that a harness shows of answers in a convention."""
    return BOX_METRICS if CONVENTIONS[convention].answers == "box" else METRICS


class HarnessFormat(Format):
    """A folder per task file that a harness runs as its users expect.

    The folder holds the samples, and code of a few lines that calls ``x3spatial.harnesses``, so the
    harness needs x3spatial in its environment.
    """

    paths = ("absolute", "copy")
    tags = False
    places_names = True
    with_files = True
    refuses_empty = True

    @classmethod
    def points(cls) -> tuple[str, ...]:
        """See ``Format.points``.

        A harness does not tell the size of resized images.
        """
        return tuple(
            name
            for name in super().points()
            if name != PLACEHOLDER and CONVENTIONS[name].pixels != "resized"
        )

    def output_name(self, stem: str) -> str:
        """See ``Format.output_name``."""
        return stem

    def write(self, path: Path, samples: Iterable[Sample]) -> None:
        """See ``Format.write``."""
        with replacing_dir(path) as part:
            titles = self._write_samples(part, samples)
            settings = {
                "convention": self.point_format,
                "title": ", ".join(titles),
                "task": harness_name(path.name),
            }
            write_json(part / SETTINGS, settings)
            self.complete(part, path, settings)

    def _write_samples(self, folder: Path, samples: Iterable[Sample]) -> list[str]:
        """Write both files of samples in one pass; returns the titles of their tasks."""
        titles: dict[str, None] = {}
        with JsonArrayWriter(folder / TASK_FILE) as tasks:

            def rows() -> Iterator[dict[str, Any]]:
                for sample in samples:
                    record = sample.placed
                    assert record is not None
                    titles.setdefault(TASKS[record.task].title)
                    tasks.write(_below(record).to_json())
                    yield question_row(sample, [_up(name) for name in sample.image_paths])

            write_json_lines(folder / QUESTIONS, rows())
        return list(titles)

    def complete(self, folder: Path, path: Path, settings: Mapping[str, Any]) -> None:
        """Write the harness' own files into ``folder``, which will be at ``path``."""


def question_row(sample: Sample, images: list[str]) -> dict[str, Any]:
    """What a harness shows and groups by, of one sample."""
    record = sample.record
    strata = {} if record.strata is None else record.strata.to_json()
    return {
        "id": record.id,
        "images": images,
        "prompt": sample.prompt,
        **({"image_names": list(sample.names)} if sample.names else {}),
        "answer": sample.answer,
        "task": record.task,
        "split": record.split,
        "scene": record.place or record.scene,
        "label": record.label,
        "absence": record.absence,
        "strata": json.dumps(strata, sort_keys=True),
    }


def harness_name(stem: str) -> str:
    """The name of a task in a harness: ``x3_t1_multi`` for the validation set, else with the split."""
    for task, spec in TASKS.items():
        if Path(spec.file("val")).stem == stem:
            return f"x3_{task}"
    return f"x3_{stem}"


def code_text(name: str) -> str:
    """The text of a Python file that an export writes."""
    return (resources.files(__package__) / "templates" / f"{name}.txt").read_text(encoding="utf-8")


def _up(path: str) -> str:
    """A path of the export as seen from the folder of one task file."""
    return path if os.path.isabs(path) else str(PurePosixPath("..") / path)  # noqa: PTH117


def _below(record: TaskRecord) -> TaskRecord:
    return with_paths(record, _up)
