"""What models make of an engine's images: Task2B with them in place of the true ones."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from x3spatial.builder.options import BuildOptions
from x3spatial.builder.run import build_tasks
from x3spatial.evaluation.options import EvalOptions, for_model
from x3spatial.evaluation.run import evaluate
from x3spatial.formats.task_file import TaskRecord, read_records
from x3spatial.inpaint_bench.measure import sample_id
from x3spatial.io.files import write_text
from x3spatial.models import registry
from x3spatial.roots.layout import ObjectKey, short_split
from x3spatial.tasks.spec import TASKS

_TASK = "t2b_multi"


def build_records(
    data_root: Path,
    out_dir: Path,
    splits: tuple[str, ...],
    limit: int | None,
    workers: int | None,
) -> dict[str, TaskRecord]:
    """The records of Task2B on the true images, by view; the task files are in ``out_dir``."""
    options = BuildOptions(tasks=(_TASK,), use_dilated_mask=True, splits=splits, limit=limit)
    build_tasks(data_root, out_dir, options, workers=workers)
    found = {}
    for split in splits:
        path = out_dir / TASKS[_TASK].file(short_split(split))
        for record in read_records(path) if path.is_file() else ():
            key = ObjectKey(split, str(record.scene), str(record.uid))
            found[sample_id(key, f"{record.query_rank}_{record.query_frame}")] = record
    return found


def write_engine_tasks(
    folder: Path, records: Mapping[str, TaskRecord], images: Mapping[str, str]
) -> Path:
    """Write the records whose view has an image, with this image as the second one.

    ``query_original`` stays that of the data root, beside which the masks are found.

    Returns:
        The task file. Its name has a hash of the content: other splits or limits do not meet old answers.
    """
    changed = [
        replace(record, image=(record.image[0], images[name])).to_json()
        for name, record in records.items()
        if name in images
    ]
    text = json.dumps(changed, indent=1, ensure_ascii=False) + "\n"
    path = folder / f"t2b-{hashlib.sha256(text.encode()).hexdigest()[:8]}.json"
    folder.mkdir(parents=True, exist_ok=True)
    write_text(path, text)
    return path


def ask(
    model: str, tasks: Mapping[str, Path], names: Mapping[str, str], workers: int | None
) -> dict[str, dict[str, Any]]:
    """Evaluate a model on the task file of each engine; it is loaded once.

    Args:
        model: ``KIND[:ARG]``.
        tasks: engine → task file.
        names: id of a sample → view.
        workers: see ``evaluate``.

    Returns:
        Engine → ``results`` (the path), ``metrics``, ``ci95``, ``errors``, and ``hits`` (view → whether the
        answer lies in the tight mask, 0 or 1).
    """
    options = EvalOptions()
    found = {}
    with closing(registry.create(model, for_model(options))) as opened:
        for engine, path in tasks.items():
            output = path.with_name(f"{_file_name(opened.name)}-{path.stem}.json")
            done = evaluate(path, output, opened, options, workers=workers)
            hits = {
                names[entry.id]: float(entry.hit_mask_tight or 0.0)
                for entry in done.results_file().results
                if entry.status != "error"
            }
            found[engine] = {
                "results": str(output),
                "metrics": {k: done.metrics.get(k) for k in ("hit_at_mask", "hit_at_mask_tight")},
                "ci95": {k: done.ci95.get(k) for k in ("hit_at_mask", "hit_at_mask_tight")},
                "errors": done.errors,
                "hits": hits,
            }
    return found


def _file_name(name: str) -> str:
    return "".join(char if char.isalnum() or char in "-." else "_" for char in name)
