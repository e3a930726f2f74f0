"""``x3 crop``: crop every view of a data root around its object, into a new data root.

All files of a view get the same crop, resized to the original size. Objects then have a chosen apparent
size on their real background: to measure how answers depend on apparent size, or as easier training data
before whole images.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from x3spatial.engine.base import Engine
from x3spatial.engine.registry import open_engine
from x3spatial.errors import UserError
from x3spatial.io.files import empty_dir, make_dir, read_manifest, write_bytes, write_json
from x3spatial.io.images import (
    ImageError,
    encode_mask_png,
    encode_png,
    read_mask,
    read_rgb,
    resize_mask,
    resize_rgb,
)
from x3spatial.io.locks import lock_dir
from x3spatial.io.opening import part_path
from x3spatial.progress import progress
from x3spatial.roots.crops import check_times, draw_crop, extent
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
    outside_root,
)
from x3spatial.roots.views import LoadedView, load_views
from x3spatial.tasks.ground_truth import sample_seed

SETTINGS_FILE = "zoom.json"
"""Named after the command's first name, `x3 zoom`: roots made then must be recognised and continued."""
MIN_SIDE = 16
"""Smallest side of a crop in pixels; an enlarged smaller one shows nothing recognisable."""

_NOTE = ".zoom.json"
"""In a finished object's folder: its number of views and its problems. Named like ``SETTINGS_FILE``."""
_SEED_LABEL = "zoom"
"""Enters ``sample_seed``, so it decides which crops are drawn and cannot follow the command's new name."""
_KINDS = (ORIGINAL, INPAINTED, MASK, DILATED)
_Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class CropJob:
    """One object to crop; picklable."""

    key: ObjectKey
    source: Path
    folder: Path
    times: tuple[float, float]
    seed: int


@dataclass(slots=True)
class CropSummary:
    """The cropped root after a run: its objects and views, the objects made now, the data left out."""

    out_dir: Path
    objects: int = 0
    made: int = 0
    views: int = 0
    problems: list[Problem] = field(default_factory=list)


def crop_root(
    data_root: str | Path,
    out_dir: str | Path,
    *,
    times: tuple[float, float] = (2.0, 6.0),
    seed: int = 0,
    splits: Iterable[str] | None = None,
    workers: int | None = None,
    engine: str | Engine = "local",
    ray_address: str | None = None,
    fresh: bool = False,
) -> CropSummary:
    """Crop the views of every object of ``data_root`` into the data root ``out_dir``.

    A crop has the image's aspect ratio and a side of ``times`` the object's extent (drawn log-uniformly,
    at least ``MIN_SIDE`` pixels, at most the image). It contains the whole object, at a drawn position. A
    view without the object is cropped anywhere, at the geometric mean of the extents that the object has
    in its other views. Originals and inpainted images are resized bicubically, masks by nearest neighbour.
    Labels are copied; depth and ``scene.json`` are not, because they describe the uncropped cameras.

    Args:
        data_root: the root to crop; it is only read.
        out_dir: the root to write; objects finished by an earlier run with the same settings are kept.
        times: smallest and largest crop as a multiple of the object's extent, each at least 1.
        seed: seed of the draws; each draw is seeded by (seed, split, scene, uid, view).
        splits: folder names of splits; None for all that exist.
        workers: processes; None for one per usable CPU. The bytes do not depend on it.
        engine: a name in ``engine.registry.ENGINES``, or an engine that is open.
        ray_address: for ``ray``: the cluster to join; None to start Ray on this machine.
        fresh: delete the output of earlier runs first.

    Returns:
        What ``out_dir`` holds now and which data was left out.

    Raises:
        UserError: an option is out of range; ``out_dir`` cannot be written, lies in ``data_root``, holds
            other files or was made with other settings.
        UnitsFailed: an object could not be cropped; all others are done.
    """
    data_root, out_dir = Path(data_root), Path(out_dir)
    check_times("--times", times)
    if seed < 0:
        raise UserError(f"--seed {seed}: must not be negative")
    if workers is not None and workers < 1:
        raise UserError(f"--workers {workers}: must be at least 1")
    listing = list_root(data_root, None if splits is None else list(splits))
    outside_root(data_root, out_dir, "--out")
    make_dir(out_dir, "--out")
    settings = {
        "version": 1,
        "data_root": str(data_root.resolve()),
        "times": list(times),
        "seed": seed,
    }
    with lock_dir(out_dir, "--out"):
        _check_settings(out_dir, settings, fresh=fresh)
        with open_engine(engine, ray_address) as opened:
            return _run(listing, out_dir, times, seed, opened, workers)


def _check_settings(out_dir: Path, settings: dict[str, Any], *, fresh: bool) -> None:
    """Check that ``out_dir`` is empty or was made with these settings; with ``fresh``, empty it.

    Raises:
        UserError: it holds other files, or a root made with other settings.
    """
    written = read_manifest(out_dir / SETTINGS_FILE)
    folders = sorted(path for path in out_dir.iterdir() if path.is_dir())
    if folders and written is None:
        raise UserError(
            f"--out {out_dir}: holds other files ({folders[0].name}); choose an empty folder"
        )
    if written is not None and written != settings and not fresh:
        names = [name for name in settings if written.get(name) != settings[name]]
        differences = ", ".join(
            f"{name} {written.get(name)}, not {settings[name]}" for name in names
        )
        raise UserError(f"--out {out_dir}: made with other settings ({differences}); add --fresh")
    if fresh:
        for folder in folders:
            if folder.name in SPLITS:  # x3 crop made nothing else
                shutil.rmtree(folder)
    write_json(out_dir / SETTINGS_FILE, settings)


def _run(
    listing: RootListing,
    out_dir: Path,
    times: tuple[float, float],
    seed: int,
    engine: Engine,
    workers: int | None,
) -> CropSummary:
    summary = CropSummary(out_dir, problems=list(listing.problems))
    todo: list[CropJob] = []
    for key in listing.objects:
        folder = out_dir / key.split / key.scene / f"uid_{key.uid}"
        if folder.is_dir():
            note = read_manifest(folder / _NOTE)
            if note is None:
                raise UserError(f"{folder}: not made by x3 crop; choose another OUT_DIR")
            summary.objects += 1
            summary.views += note["views"]
            summary.problems.extend(Problem(*problem) for problem in note["problems"])
        else:
            todo.append(CropJob(key, listing.folder(key), folder, times, seed))

    def name(job: CropJob) -> str:
        return "/".join(job.key)

    with progress(
        "cropping", len(listing.objects), done=len(listing.objects) - len(todo)
    ) as advance:
        for views, problems in engine.map(
            crop_object, todo, workers=workers, name=name, folders=[listing.root, out_dir]
        ):
            summary.problems.extend(problems)
            if views:
                summary.objects += 1
                summary.made += 1
                summary.views += views
            advance()
    summary.problems.sort()
    return summary


def crop_object(job: CropJob) -> tuple[int, list[Problem]]:
    """Write one object's folder atomically.

    Returns:
        The number of views written (0: no folder) and the problems found.
    """
    key, files = job.key, list_object(job.key, job.source)
    problems = list(files.problems)
    usable = load_views(files, use_dilated=False, seed=job.seed, problems=problems)
    views = [(loaded, found) for loaded in usable if (found := _load_images(loaded, problems))]
    if not views:
        problems.append(Problem(str(job.source), "object left out: it has no usable view"))
        return 0, problems
    extents = [extent(loaded.view.mask) for loaded, _ in views if loaded.view.mask.any()]
    default_extent = float(np.exp(np.mean(np.log(extents)))) if extents else 1.0
    part = part_path(job.folder)
    empty_dir(part)
    for loaded, found in views:
        view = loaded.view
        name = f"{view.rank}_{view.frame}"
        rng = np.random.default_rng(
            sample_seed(job.seed, key.split, key.scene, key.uid, name, _SEED_LABEL)
        )
        box = draw_crop(view.mask, job.times, rng, default_extent=default_extent, min_side=MIN_SIDE)
        for kind, image in found.items():
            write_bytes(
                part / loaded.files.files[kind].with_suffix(".png").name,
                _encode_crop(kind, image, box),
            )
    if files.label is not None:
        write_json(part / f"{key.scene}_uid_{key.uid}_five_frames.json", {"label": files.label})
    write_json(part / _NOTE, {"views": len(views), "problems": [list(p) for p in problems]})
    part.rename(job.folder)
    return len(views), problems


def _load_images(loaded: LoadedView, problems: list[Problem]) -> dict[str, _Array]:
    """Load a view's images by kind; without its original the result is empty. Reports what is left out."""
    view, found = loaded.view, {}
    for kind in _KINDS:
        path = loaded.files.files.get(kind)
        if path is None:
            continue
        if kind == INPAINTED and view.target is not None and not view.has_inpainted:
            continue  # unusable, already reported when the view was loaded
        try:
            image = _decode(loaded, kind, path)
        except ImageError as error:
            problems.append(Problem(str(path), f"{kind} left out: {error.reason}"))
            if kind == ORIGINAL:
                return {}
            continue
        height, width = image.shape[:2]
        if (width, height) != view.size:
            size, expected = f"{width}x{height}", f"{view.size[0]}x{view.size[1]}"
            problems.append(
                Problem(str(path), f"{kind} left out: is {size}, original is {expected}")
            )
            continue
        found[kind] = image
    return found


def _decode(loaded: LoadedView, kind: str, path: Path) -> _Array:
    if kind == ORIGINAL:
        return loaded.pixels()
    if path == loaded.mask_path:
        return loaded.view.mask
    return read_rgb(path) if kind == INPAINTED else read_mask(path)


def _encode_crop(kind: str, image: _Array, box: tuple[slice, slice]) -> bytes:
    """Crop ``image`` [H, W(, 3)] to ``box`` (rows, columns), resize it to [H, W] and encode it."""
    height, width = image.shape[:2]
    crop = np.ascontiguousarray(image[box])
    if kind in (ORIGINAL, INPAINTED):
        return encode_png(resize_rgb(crop, width, height))
    return encode_mask_png(resize_mask(crop, width, height))
