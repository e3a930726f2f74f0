"""``x3 zoom``: a data root of parts of another one's pictures, as if seen from nearer.

Every view of an object is cut to a part around it, the same part of each of its files, and enlarged to the
old size. Objects are then as large in the picture as one likes, on the ground that they really have: a way
to ask how answers depend on apparent size, and easy material to learn from before the whole pictures.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from x3spatial.data.crops import draw_part, extent
from x3spatial.data.files import (
    lock_dir,
    make_dir,
    part_path,
    read_manifest,
    write_bytes,
    write_json,
)
from x3spatial.data.images import (
    BoolArray,
    ImageError,
    decode_mask,
    decode_rgb,
    encode_mask_png,
    encode_png,
    read_bytes,
    resize_mask,
    resize_rgb,
)
from x3spatial.data.layout import (
    DILATED,
    INPAINTED,
    MASK,
    ORIGINAL,
    ObjectFiles,
    ObjectKey,
    Problem,
    RootListing,
    ViewFiles,
    list_object,
    list_root,
)
from x3spatial.data.parallel import default_workers, map_unordered
from x3spatial.errors import UserError
from x3spatial.progress import progress
from x3spatial.tasks.points import sample_seed

SETTINGS_FILE = "zoom.json"
LEAST_SIDE = 16
"""Pixels; a smaller part, enlarged, shows nothing."""

_NOTE = ".zoom.json"
"""In an object's folder: what an object that is kept counts for, and what was left out of it."""
_KINDS = (ORIGINAL, INPAINTED, MASK, DILATED)
_Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class ZoomJob:
    """One object to cut; picklable."""

    key: ObjectKey
    source: Path
    folder: Path
    times: tuple[float, float]
    seed: int


@dataclass(slots=True)
class ZoomSummary:
    """What a run did: objects and views that are there now, objects cut now, and bad data left out."""

    out_dir: Path
    objects: int = 0
    made: int = 0
    views: int = 0
    problems: list[Problem] = field(default_factory=list)


def zoom_root(
    *,
    data_root: Path,
    out_dir: Path,
    times: tuple[float, float],
    seed: int = 0,
    splits: Iterable[str] | None = None,
    workers: int | None = None,
    fresh: bool = False,
) -> ZoomSummary:
    """Cut the views of every object of ``data_root`` and write them as the data root ``out_dir``.

    A view is cut to a part of the picture's proportions, ``times`` the object's extent in it (drawn on a
    logarithmic scale, at least ``LEAST_SIDE`` pixels, at most the picture), that holds all of the object at a
    drawn place. A view without the object is cut anywhere, by the mean extent the object has where it is
    seen. Originals and inpainted images are resized bicubically, masks to the nearest pixel. Labels come
    along; depth and the descriptions of scenes do not, as their cameras are not those of the parts.

    Args:
        data_root: what is cut.
        out_dir: objects that an earlier run with the same settings finished are kept.
        times: least and most, from 1 on.
        seed: of the draws, which belong to (seed, split, scene, uid, view).
        splits: folder names; all there are unless given.
        workers: processes; all CPUs unless given. The bytes do not depend on it.
        fresh: delete what an earlier run left first.

    Raises:
        UserError: an option makes no sense, ``out_dir`` cannot be written, is (in) the root itself, or was
            made with other settings.
    """
    least, most = times
    if not 1 <= least <= most < float("inf"):
        raise UserError(f"--times {least:g} {most:g}: expected the least and the most, from 1 on")
    if seed < 0:
        raise UserError(f"--seed {seed}: must not be negative")
    if workers is not None and workers < 1:
        raise UserError(f"--workers {workers}: must be at least 1")
    listing = list_root(data_root, None if splits is None else list(splits))
    if out_dir.resolve().is_relative_to(data_root.resolve()):
        raise UserError(f"OUT_DIR {out_dir}: is in the data root {data_root}; choose another")
    make_dir(out_dir, "OUT_DIR")
    settings = {
        "version": 1,
        "data_root": str(data_root.resolve()),
        "times": [least, most],
        "seed": seed,
    }
    with lock_dir(out_dir, "OUT_DIR"):
        _take_over(out_dir, settings, fresh=fresh)
        return _run(listing, out_dir, times, seed, workers or default_workers())


def _take_over(out_dir: Path, settings: dict[str, Any], *, fresh: bool) -> None:
    """Make sure that what is in ``out_dir`` was made with these settings, or is gone."""
    written = read_manifest(out_dir / SETTINGS_FILE)
    folders = sorted(path for path in out_dir.iterdir() if path.is_dir())
    if folders and written is None:
        raise UserError(
            f"OUT_DIR {out_dir}: holds other things ({folders[0].name}); choose another"
        )
    if written is not None and written != settings and not fresh:
        names = [name for name in settings if written.get(name) != settings[name]]
        told = ", ".join(f"{name} {written.get(name)}, not {settings[name]}" for name in names)
        raise UserError(f"OUT_DIR {out_dir}: made with other settings ({told}); add --fresh")
    if fresh:
        for folder in folders:
            shutil.rmtree(folder)
    write_json(out_dir / SETTINGS_FILE, settings)


def _run(
    listing: RootListing, out_dir: Path, times: tuple[float, float], seed: int, workers: int
) -> ZoomSummary:
    summary = ZoomSummary(out_dir, problems=list(listing.problems))
    todo: list[ZoomJob] = []
    for key in listing.objects:
        folder = out_dir / key.split / key.scene / f"uid_{key.uid}"
        if folder.is_dir():
            note = read_manifest(folder / _NOTE)
            if note is None:
                raise UserError(f"{folder}: not made by x3 zoom; choose another OUT_DIR")
            summary.objects += 1
            summary.views += note["views"]
            summary.problems.extend(Problem(*problem) for problem in note["problems"])
        else:
            todo.append(ZoomJob(key, listing.folder(key), folder, times, seed))
    with progress(
        "zooming", len(listing.objects), done=len(listing.objects) - len(todo)
    ) as advance:
        for views, problems in map_unordered(zoom_object, todo, max(1, min(workers, len(todo)))):
            summary.problems.extend(problems)
            if views:
                summary.objects += 1
                summary.made += 1
                summary.views += views
            advance()
    summary.problems.sort()
    return summary


def zoom_object(job: ZoomJob) -> tuple[int, list[Problem]]:
    """Write one object's folder, all of it or nothing; returns its number of views and what was left out."""
    files = list_object(job.key, job.source)
    problems = list(files.problems)
    views = [
        (view, arrays)
        for view in files.views
        if (arrays := _read(files, view, problems)) is not None
    ]
    if not views:
        problems.append(Problem(str(job.source), "object left out: it has no usable view"))
        return 0, problems
    extents = [extent(mask) for _, arrays in views if (mask := _mask(arrays)).any()]
    usual = float(np.exp(np.mean(np.log(extents)))) if extents else 1.0
    part = part_path(job.folder)
    if part.exists():
        shutil.rmtree(part)  # a run that was stopped half way
    part.mkdir(parents=True)
    for view, arrays in views:
        name = f"{view.rank}_{view.frame}"
        key = job.key
        rng = np.random.default_rng(
            sample_seed(job.seed, key.split, key.scene, key.uid, name, "zoom")
        )
        box = draw_part(_mask(arrays), job.times, rng, usual=usual, least_side=LEAST_SIDE)
        for kind, array in arrays.items():
            write_bytes(part / view.files[kind].name, _cut(kind, array, box))
    if files.label is not None:
        write_json(
            part / f"{job.key.scene}_uid_{job.key.uid}_five_frames.json", {"label": files.label}
        )
    write_json(part / _NOTE, {"views": len(views), "problems": [list(p) for p in problems]})
    part.rename(job.folder)
    return len(views), problems


def _mask(arrays: dict[str, _Array]) -> BoolArray:
    """What the object shows: the tight mask, or the dilated one where that is all there is."""
    return arrays[MASK if MASK in arrays else DILATED]


def _read(files: ObjectFiles, view: ViewFiles, problems: list[Problem]) -> dict[str, _Array] | None:
    """All of a view's pictures by kind; None, with a problem, where it cannot be used."""
    arrays: dict[str, _Array] = {}
    for kind, path in view.files.items():
        if kind not in _KINDS:
            continue
        try:
            data = read_bytes(path)
            arrays[kind] = decode_mask(data) if kind in (MASK, DILATED) else decode_rgb(data)
        except ImageError as error:
            problems.append(Problem(str(path), f"{kind} left out: {error.reason}"))
    if ORIGINAL not in arrays or not arrays.keys() & {MASK, DILATED}:
        missing = "original" if ORIGINAL not in arrays else "mask"
        place = files.folder / f"{view.rank}_{view.frame}_{missing}.png"
        problems.append(Problem(str(place), "view left out: this file is missing or unreadable"))
        return None
    sizes = Counter(array.shape[:2] for array in arrays.values())
    if len(sizes) > 1:
        told = ", ".join(f"{kind} {a.shape[1]}x{a.shape[0]}" for kind, a in sorted(arrays.items()))
        problems.append(Problem(str(view.files[ORIGINAL]), f"view left out: sizes differ: {told}"))
        return None
    return arrays


def _cut(kind: str, array: _Array, box: tuple[slice, slice]) -> bytes:
    height, width = array.shape[:2]
    part = np.ascontiguousarray(array[box])
    if kind in (ORIGINAL, INPAINTED):
        return encode_png(resize_rgb(part, width, height))
    return encode_mask_png(resize_mask(part, width, height))
