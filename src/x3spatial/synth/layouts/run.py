"""``x3 scenes --layout``: renders rooms and writes them as scans, in parallel processes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from x3spatial.engine.base import Engine
from x3spatial.engine.registry import open_engine
from x3spatial.errors import UserError
from x3spatial.io.files import make_dir, read_json, write_json
from x3spatial.io.locks import lock_dir
from x3spatial.progress import progress
from x3spatial.synth.generate import scene_options
from x3spatial.synth.layouts.registry import LAYOUTS, open_layout
from x3spatial.synth.options import SCENES, SceneOptions, scene_name
from x3spatial.tables import Table, Tabular

MARK = "x3-scan.json"
"""Written last into the folder of a scan: what it is, and that it is complete."""
PART = ".x3-part"
"""Ending of the folder of a scan that is being written."""
FRAMES = 60
"""Frames along the path unless told otherwise."""
MAX_FRAMES = 5000
_OPTION = "--out"


@dataclass(frozen=True)
class ScanJob:
    """One room to be scanned; picklable."""

    root: Path
    layout: str
    split: str
    index: int
    options: SceneOptions
    frames: int

    def room(self) -> str:
        """Its name in messages."""
        return f"{self.split}/{scene_name(self.split, self.index)}"

    def settings(self) -> dict[str, Any]:
        """What decides the bytes of a scan, besides its split and number."""
        return {"layout": self.layout, "frames": self.frames, **self.options.to_json()}


@dataclass(frozen=True, repr=False)
class ScanSummary(Tabular):
    """The folder after a run; ``made`` of its rooms are new, the others are from earlier runs."""

    out_dir: Path
    layout: str
    rooms: int
    made: int
    scans: int
    frames: int

    def table(self) -> Table:
        """The counts in one row."""
        heads = ("rooms", "made now", "scans", "frames")
        row = tuple(map(str, (self.rooms, self.made, self.scans, self.frames)))
        return Table(f"{self.out_dir}: {self.layout}", heads, (row,))


def render_scans(
    out_dir: str | Path,
    layout: str,
    scenes: Mapping[str, int] = SCENES,
    *,
    frames: int | None = None,
    objects: int = 4,
    views: int = 5,
    width: int | None = None,
    height: int | None = None,
    samples: int | None = None,
    seed: int = 0,
    style: str = "day",
    workers: int | None = None,
    engine: str | Engine = "local",
    ray_address: str | None = None,
    fast: bool = False,
    fresh: bool = False,
) -> ScanSummary:
    """Write synthetic rooms as if they had been scanned, for ``x3 import`` and other readers.

    The rooms are those that ``render_scenes`` makes with the same options. Complete scans of an earlier run
    with the same settings are kept.

    Args:
        out_dir: the folder to write.
        layout: a name in ``layouts.registry.LAYOUTS``.
        scenes: number of rooms per split, by the folder name of the split in a data root.
        frames: frames along a path through each room, beside the cameras that the data root of the room has;
            None for 60.
        objects: as in ``render_scenes``.
        views: as in ``render_scenes``.
        width: as in ``render_scenes``.
        height: as in ``render_scenes``.
        samples: as in ``render_scenes``.
        seed: as in ``render_scenes``.
        style: as in ``render_scenes``.
        workers: processes; None for one per usable CPU.
        engine: a name in ``engine.registry.ENGINES``, or an engine that is open.
        ray_address: for ``ray``: the cluster to join; None to start Ray on this machine.
        fast: smaller default images with fewer samples.
        fresh: delete the scans of earlier runs in ``out_dir`` first.

    Raises:
        UserError: an option is out of range, ``out_dir`` cannot be written or holds something else, or no ray
            tracer is installed (the extra ``render``).
        UnitsFailed: a room could not be rendered; all others are done.
    """
    out_dir = Path(out_dir)
    scenes = {split: count for split, count in scenes.items() if count}
    frames = FRAMES if frames is None else frames
    if layout not in LAYOUTS:
        raise UserError(f"--layout {layout}: known are {', '.join(LAYOUTS)}")
    least = 1 if layout == "3rscan" else 0  # a rescan has no other frames
    if not least <= frames <= MAX_FRAMES:
        raise UserError(f"--frames {frames}: must be between {least} and {MAX_FRAMES}")
    options = scene_options(
        scenes, objects=objects, views=views, width=width, height=height, samples=samples, seed=seed,
        depth=True, style=style, fast=fast,
    )  # fmt: skip
    if workers is not None and workers < 1:
        raise UserError(f"--workers {workers}: must be at least 1")
    make_dir(out_dir, _OPTION)
    with lock_dir(out_dir, _OPTION), open_engine(engine, ray_address) as opened:
        return _run(out_dir, scenes, options, layout, frames, opened, workers, fresh)


def _run(
    root: Path,
    scenes: Mapping[str, int],
    options: SceneOptions,
    layout: str,
    frames: int,
    engine: Engine,
    workers: int | None,
    fresh: bool,
) -> ScanSummary:
    jobs = [
        ScanJob(root, layout, split, index, options, frames)
        for split, number in scenes.items()
        for index in range(number)
    ]
    marks = _marks(root)
    if fresh:
        for mark in marks:
            shutil.rmtree(mark.parent)
    else:
        _check(marks, jobs)
    todo = [job for job in jobs if not all(path.is_file() for path in _marks_of(job))]
    with progress("rooms", len(jobs), done=len(jobs) - len(todo)) as advance:
        for _ in engine.map(write_room, todo, workers=workers, name=ScanJob.room, folders=[root]):
            advance()
    written = [read_json(path) for job in jobs for path in _marks_of(job)]
    open_layout(layout).write_index(root, written)
    return ScanSummary(
        root, layout, len(jobs), len(todo), len(written), sum(scan["frames"] for scan in written)
    )


def write_room(job: ScanJob) -> None:
    """Plan a room and write its scans; each folder gets its name when it is complete."""
    from x3spatial.synth.layouts.scan import shoot
    from x3spatial.synth.plan import make_plan

    layout = open_layout(job.layout)
    plan = make_plan(job.split, job.index, job.options)
    for scan in layout.scans(job.split, job.index, job.options, plan, job.frames):
        folder = layout.folder(job.root, job.split, scan.name)
        part = folder.with_name(folder.name + PART)
        for old in (folder, part):
            if old.exists():
                shutil.rmtree(old)  # left by an interrupted run
        for name in layout.folders:
            (part / name).mkdir(parents=True)
        layout.write(part, scan, shoot(scan, layout.depth_width))
        classes = sorted({instance.kind for instance in scan.instances})
        mark = {
            "format": 1,
            "name": scan.name,
            "room": scene_name(job.split, job.index),
            "split": job.split,
            "frames": len(scan.cameras),
            "removed": list(scan.removed),
            "to_scan": scan.to_scan.tolist(),
            "classes": classes,
            "settings": job.settings(),
        }
        write_json(part / MARK, mark, fsync=True)
        part.rename(folder)


def _marks_of(job: ScanJob) -> Iterator[Path]:
    layout = open_layout(job.layout)
    for name in layout.names(job.split, job.index):
        yield layout.folder(job.root, job.split, name) / MARK


def _marks(root: Path) -> list[Path]:
    """The marks of all complete scans below a folder."""
    found = sorted(path for depth in ("*", "*/*") for path in root.glob(f"{depth}/{MARK}"))
    return [path for path in found if not path.parent.name.endswith(PART)]


def _check(marks: list[Path], jobs: list[ScanJob]) -> None:
    """Check that a folder holds nothing but scans that these jobs make.

    Raises:
        UserError: it holds something else.
    """
    wanted = {path: job for job in jobs for path in _marks_of(job)}
    for mark in marks:
        written = read_json(mark, what="scan's description")
        settings = written.get("settings") if isinstance(written, dict) else None
        if settings != jobs[0].settings():
            raise UserError(
                f"{mark.parent}: made with other settings; choose another folder or add --fresh"
            )
        if mark not in wanted:
            raise UserError(
                f"{mark.parent}: beyond the scenes requested; choose another folder or add --fresh"
            )
    for mark in wanted:
        if mark.parent.exists() and not mark.exists():
            raise UserError(f"{mark.parent}: not made by x3 scenes --layout; choose another folder")
