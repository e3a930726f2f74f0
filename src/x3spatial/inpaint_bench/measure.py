"""The work of one process: one engine fills the views of one object, and its images are compared."""

from __future__ import annotations

import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from x3spatial.errors import UserError
from x3spatial.inpaint_bench.image_errors import image_errors, outside_difference
from x3spatial.inpainting import Engine, ImageName, InpaintingError, open_engine
from x3spatial.io.files import write_bytes
from x3spatial.io.images import ImageError, encode_png, read_rgb
from x3spatial.roots.findings import Problem
from x3spatial.roots.layout import INPAINTED, ORIGINAL, ObjectFiles, ObjectKey
from x3spatial.roots.views import LoadedView, load_views

LEFT_IN = "(object left in)"
TRUE = "(true image)"
REFERENCES = (TRUE, LEFT_IN)
"""Rows that are no engines: what an engine must reach, and what it must improve on."""


@dataclass(frozen=True, slots=True)
class MeasureJob:
    """One object and one engine or reference; picklable."""

    files: ObjectFiles
    engine: str
    folder: Path
    """Where the engine's images go; references have none."""
    fingerprint: str
    option: str
    timeout: float


def measure_object(job: MeasureJob) -> dict[str, Any]:
    """Fill every view that shows the object and has a true image without it.

    Returns:
        A journal line: ``engine``, ``key``, ``fingerprint``, ``views`` and ``problems``. A view has ``name``,
        ``image``, ``bytes``, ``hole`` (share of the image), ``cpu_s``, the fields of ``ImageErrors``,
        ``outside``: what the engine changed outside of the hole, before x3spatial set it back, and
        ``true_outside``: what the true image changes there.
    """
    problems: list[Problem] = []
    loaded = load_views(job.files, use_dilated=True, seed=0, problems=problems)
    views = []
    for view in loaded:
        if view.view.target is None or not view.view.has_inpainted:
            continue
        try:
            views.append(_measure(job, view))
        except (ImageError, InpaintingError) as error:
            path = getattr(error, "path", view.files.files[INPAINTED])
            problems.append(Problem(str(path), error.reason))
    return {
        "engine": job.engine,
        "key": list(job.files.key),
        "fingerprint": job.fingerprint,
        "views": views,
        "problems": [list(problem) for problem in problems],
    }


def _measure(job: MeasureJob, loaded: LoadedView) -> dict[str, Any]:
    """One view.

    Raises:
        ImageError: its images cannot be read, or its mask covers all of it.
        InpaintingError: the engine could not make the image.
    """
    view, key = loaded.view, job.files.key
    hole = view.mask
    if hole.all():
        raise ImageError("the mask covers the whole image; nothing to fill it from")
    original, true = loaded.pixels(), read_rgb(loaded.files.files[INPAINTED])
    began = _cpu_seconds()
    if job.engine == TRUE:
        painted = filled = true
        path = loaded.files.files[INPAINTED]
    elif job.engine == LEFT_IN:
        painted = filled = original
        path = loaded.files.files[ORIGINAL]
    else:
        name = ImageName(key.split, key.scene, key.uid, view.rank, view.frame)
        engine = _engine(job)
        painted = engine.painted(original, hole, name)
        filled = engine.restored(painted, original, hole)
        path = job.folder / name.path.with_suffix(".png")
    seconds = _cpu_seconds() - began
    if job.engine not in REFERENCES:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, encode_png(filled))
    return {
        "name": f"{view.rank}_{view.frame}",
        "image": str(path),
        "bytes": path.stat().st_size,
        "hole": round(float(hole.mean()), 6),
        "cpu_s": round(seconds, 4),
        **{k: round(v, 6) for k, v in asdict(image_errors(filled, true, hole)).items()},
        "outside": round(outside_difference(painted, original, hole), 6),
        "true_outside": round(outside_difference(true, original, hole), 6),
    }


def _engine(job: MeasureJob) -> Engine:
    engine = open_engine(job.engine, option=job.option, timeout=job.timeout)
    if engine is None:
        raise UserError(f"{job.option} {job.engine}: makes no images to compare")
    return engine


def _cpu_seconds() -> float:
    """CPU time of this process and of the programs that it has waited for."""
    times = os.times()
    return time.process_time() + times.children_user + times.children_system


def sample_id(key: ObjectKey, view: str) -> str:
    """The key of a view, ``{rank}_{frame}``, in all tables of the bench."""
    return f"{key}/{view}"
