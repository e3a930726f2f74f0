"""``x3 zoom``: a data root of parts of another one's pictures, as if seen from nearer.

Every view of an object is cut to a part around it, the same part of each of its files, and enlarged to the
old size. Objects are then as large in the picture as one likes, on the ground that they really have: a way
to ask how answers depend on apparent size, and easy material to learn from before the whole pictures.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from x3spatial.engine.local import default_workers, map_unordered
from x3spatial.errors import UserError
from x3spatial.io.files import (
    lock_dir,
    make_dir,
    part_path,
    read_manifest,
    write_bytes,
    write_json,
)
from x3spatial.io.images import (
    ImageError,
    encode_mask_png,
    encode_png,
    read_mask,
    read_rgb,
    resize_mask,
    resize_rgb,
)
from x3spatial.progress import progress
from x3spatial.roots.crops import check_times, draw_part, extent
from x3spatial.roots.layout import (
    DILATED,
    INPAINTED,
    MASK,
    ORIGINAL,
    SPLITS,
    ObjectKey,
    Problem,
    RootListing,
    list_object,
    list_root,
)
from x3spatial.roots.views import LoadedView, load_views
from x3spatial.tasks.geometry import sample_seed

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
    check_times("--times", times)
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
        "times": list(times),
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
            if folder.name in SPLITS:  # what else is there is not ours
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
    key, files = job.key, list_object(job.key, job.source)
    problems = list(files.problems)
    usable = load_views(files, use_dilated=False, seed=job.seed, problems=problems)
    views = [(loaded, found) for loaded in usable if (found := _pictures(loaded, problems))]
    if not views:
        problems.append(Problem(str(job.source), "object left out: it has no usable view"))
        return 0, problems
    extents = [extent(loaded.view.mask) for loaded, _ in views if loaded.view.mask.any()]
    usual = float(np.exp(np.mean(np.log(extents)))) if extents else 1.0
    part = part_path(job.folder)
    if part.exists():
        shutil.rmtree(part)  # a run that was stopped half way
    part.mkdir(parents=True)
    for loaded, found in views:
        view = loaded.view
        name = f"{view.rank}_{view.frame}"
        rng = np.random.default_rng(
            sample_seed(job.seed, key.split, key.scene, key.uid, name, "zoom")
        )
        box = draw_part(view.mask, job.times, rng, usual=usual, least_side=LEAST_SIDE)
        for kind, picture in found.items():
            write_bytes(part / loaded.files.files[kind].name, _cut(kind, picture, box))
    if files.label is not None:
        write_json(part / f"{key.scene}_uid_{key.uid}_five_frames.json", {"label": files.label})
    write_json(part / _NOTE, {"views": len(views), "problems": [list(p) for p in problems]})
    part.rename(job.folder)
    return len(views), problems


def _pictures(loaded: LoadedView, problems: list[Problem]) -> dict[str, _Array]:
    """A usable view's pictures by kind; empty, with a problem, where its original is no image after all."""
    view, found = loaded.view, {}
    for kind in _KINDS:
        path = loaded.files.files.get(kind)
        if path is None:
            continue
        if kind == INPAINTED and view.target is not None and not view.has_inpainted:
            continue  # unfit, and reported where the view was loaded
        try:
            picture = _decode(loaded, kind, path)
        except ImageError as error:
            problems.append(Problem(str(path), f"{kind} left out: {error.reason}"))
            if kind == ORIGINAL:
                return {}
            continue
        height, width = picture.shape[:2]
        if (width, height) != view.size:
            size, expected = f"{width}x{height}", f"{view.size[0]}x{view.size[1]}"
            problems.append(
                Problem(str(path), f"{kind} left out: is {size}, original is {expected}")
            )
            continue
        found[kind] = picture
    return found


def _decode(loaded: LoadedView, kind: str, path: Path) -> _Array:
    if kind == ORIGINAL:
        return loaded.pixels()
    if path == loaded.mask_path:
        return loaded.view.mask
    return read_rgb(path) if kind == INPAINTED else read_mask(path)


def _cut(kind: str, picture: _Array, box: tuple[slice, slice]) -> bytes:
    height, width = picture.shape[:2]
    part = np.ascontiguousarray(picture[box])
    if kind in (ORIGINAL, INPAINTED):
        return encode_png(resize_rgb(part, width, height))
    return encode_mask_png(resize_mask(part, width, height))
