"""``x3 scenes``: renders synthetic rooms into a data root, in parallel processes.

This module is cheap to import: it loads numpy and the ray tracer with the first scene.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from x3spatial.engine.base import Engine
from x3spatial.engine.registry import open_engine
from x3spatial.errors import UserError
from x3spatial.io.files import make_dir, read_json
from x3spatial.io.locks import lock_dir
from x3spatial.progress import progress
from x3spatial.synth.options import (
    FAST,
    FULL,
    SCENES,
    SPLITS,
    SceneOptions,
    check_options,
    scene_name,
)
from x3spatial.tables import Table, Tabular

if TYPE_CHECKING:
    from x3spatial.synth.writer import SceneCounts

_SCENE_NAME = re.compile(r"(train|val|test)_\d{4,}")
_OPTION = "--out"


@dataclass(repr=False)
class SceneSummary(Tabular):
    """The root after a run; ``made`` of its scenes are new, the others are from earlier runs."""

    out_dir: Path
    scenes: dict[str, int]  # per split
    made: int = 0
    objects: int = 0
    views: int = 0
    visible: int = 0
    absent: dict[str, int] = field(default_factory=dict)  # reason -> views
    originals: int = 0  # cameras, each rendered once in full
    completed: int = 0  # scenes of an older format whose scene.json was written again

    def table(self) -> Table:
        """The counts in one row."""
        counts = (self.made, self.objects, self.views, self.visible)
        row = (str(sum(self.scenes.values())), *map(str, counts))
        heads = ("scenes", "made now", "objects", "views", "visible")
        return Table(str(self.out_dir), heads, (row,))

    def add(self, counts: SceneCounts) -> None:
        """Add the counts of one scene."""
        self.objects += counts.objects
        self.views += counts.views
        self.originals += counts.cameras
        self.visible += counts.views - sum(counts.absent.values())
        for reason, number in counts.absent.items():
            self.absent[reason] = self.absent.get(reason, 0) + number


def _scene_folders(out_dir: Path) -> list[Path]:
    """Return the folders of all scenes in a root, of any origin."""
    return [
        scene
        for split in SPLITS if (out_dir / split).is_dir()
        for scene in sorted((out_dir / split).iterdir()) if scene.is_dir()
    ]  # fmt: skip


def _check_root(out_dir: Path, options: SceneOptions, scenes: dict[str, int]) -> None:
    """Check that a root holds only scenes that these options make.

    Raises:
        UserError: it has scenes made with other settings, or more scenes than requested.
    """
    for scene in _scene_folders(out_dir):
        if (scene / "scene.json").exists():
            written = read_json(scene / "scene.json", what="scene description")
            settings = written.get("settings") if isinstance(written, dict) else None
            if settings != options.to_json():
                raise UserError(
                    f"{scene}: made with other settings ({_difference(settings, options)});"
                    " choose another folder or add --fresh"
                )
        split = scene.parent.name
        if split in scenes and int(scene.name.rsplit("_", 1)[1]) >= scenes[split]:
            raise UserError(
                f"{scene}: beyond the {scenes[split]} scenes requested; choose another folder or"
                " add --fresh"
            )


def _difference(settings: Any, options: SceneOptions) -> str:
    if not isinstance(settings, dict):
        return "not recorded"
    day = {"style": "day"}  # the default is not recorded
    wanted, settings = {**day, **options.to_json()}, {**day, **settings}
    names = [n for n in sorted({*wanted, *settings}) if wanted.get(n) != settings.get(n)]
    return ", ".join(f"{n} {settings.get(n)}, not {wanted.get(n)}" for n in names)


def scene_options(
    scenes: dict[str, int],
    *,
    objects: int,
    views: int,
    width: int | None,
    height: int | None,
    samples: int | None,
    seed: int,
    depth: bool,
    style: str,
    fast: bool,
) -> SceneOptions:
    """The checked options of ``render_scenes``, with the defaults of ``fast`` and the installed tracer.

    Raises:
        UserError: an option is out of range, or no ray tracer is installed (the extra ``render``).
    """
    from x3spatial.raycast.tracer import backend

    usual = FAST if fast else FULL
    options = SceneOptions(
        objects=objects,
        views=views,
        width=usual["width"] if width is None else width,
        height=usual["height"] if height is None else height,
        samples=usual["samples"] if samples is None else samples,
        seed=seed,
        depth=depth,
        tracer=backend("x3 scenes"),
        style=style,
    )
    check_options(options, scenes)
    return options


def render_scenes(
    out_dir: str | Path,
    scenes: Mapping[str, int] = SCENES,
    *,
    objects: int = 4,
    views: int = 5,
    width: int | None = None,
    height: int | None = None,
    samples: int | None = None,
    seed: int = 0,
    depth: bool = False,
    style: str = "day",
    workers: int | None = None,
    engine: str | Engine = "local",
    ray_address: str | None = None,
    fast: bool = False,
    fresh: bool = False,
) -> SceneSummary:
    """Render synthetic rooms into the data root ``out_dir``.

    Complete scenes of an earlier run with the same settings are kept; incomplete ones are made again.
    The bytes depend on the settings only, not on ``workers`` or interruptions.

    Args:
        out_dir: the data root to write.
        scenes: number of scenes per split, by the split's folder name (train, validation, ...).
        objects: target objects per scene; each gets its own views.
        views: views per object; of three or more, one or two do not show the object.
        width: image width in pixels; None for 640 (112 with ``fast``).
        height: image height in pixels; None for 480 (112 with ``fast``).
        samples: samples per pixel, a square number; None for 4 (1 with ``fast``).
        seed: random seed of the rooms.
        depth: also write ``{NN}_{frame}_depth.png``.
        style: ``day``, or ``night``: the same rooms in the image style of a night camera.
        workers: processes; None for one per usable CPU.
        engine: a name in ``engine.registry.ENGINES``, or an engine that is open.
        ray_address: for ``ray``: the cluster to join; None to start Ray on this machine.
        fast: smaller default images with fewer samples, for training.
        fresh: delete the scenes of earlier runs in ``out_dir`` first.

    Returns:
        What ``out_dir`` holds now.

    Raises:
        UserError: an option is out of range, ``out_dir`` cannot be written or holds other scenes, or no
            ray tracer is installed (the extra ``render``).
        UnitsFailed: a scene could not be rendered; all others are done.
    """
    out_dir = Path(out_dir)
    scenes = {split: count for split, count in scenes.items() if count}
    options = scene_options(
        scenes, objects=objects, views=views, width=width, height=height, samples=samples, seed=seed,
        depth=depth, style=style, fast=fast,
    )  # fmt: skip
    if workers is not None and workers < 1:
        raise UserError(f"--workers {workers}: must be at least 1")
    make_dir(out_dir, _OPTION)
    with lock_dir(out_dir, _OPTION):
        foreign = [p for p in _scene_folders(out_dir) if not _SCENE_NAME.fullmatch(p.name)]
        if foreign:
            raise UserError(
                f"{_OPTION} {out_dir}: holds scenes of other origin ({foreign[0]}); choose another folder"
            )
        if fresh:
            for scene in _scene_folders(out_dir):
                shutil.rmtree(scene)
        _check_root(out_dir, options, scenes)
        with open_engine(engine, ray_address) as opened:
            return _run(out_dir, scenes, options, opened, workers)


def _run(
    out_dir: Path,
    scenes: dict[str, int],
    options: SceneOptions,
    engine: Engine,
    workers: int | None,
) -> SceneSummary:
    from x3spatial.roots.scene_file import FORMAT, SCENE_FILE
    from x3spatial.synth.writer import SceneJob, count, write_scene

    summary = SceneSummary(out_dir, {split: number for split, number in scenes.items() if number})
    todo: list[SceneJob] = []
    for split, number in summary.scenes.items():
        make_dir(out_dir / split, _OPTION)
        for index in range(number):
            scene_file = out_dir / split / scene_name(split, index) / SCENE_FILE
            contents = read_json(scene_file) if scene_file.exists() else None
            if contents is not None and contents.get("format") == FORMAT:
                summary.add(count(contents))
            else:
                # Images of a scene with an older scene.json are kept.
                todo.append(SceneJob(split, index, out_dir / split, options, contents is not None))
    total = sum(summary.scenes.values())

    def name(job: SceneJob) -> str:
        return f"{job.split}/{scene_name(job.split, job.index)}"

    with progress("scenes", total, done=total - len(todo)) as advance:
        for counts in engine.map(write_scene, todo, workers=workers, name=name, folders=[out_dir]):
            summary.made += not counts.completed
            summary.completed += counts.completed
            summary.add(counts)
            advance()
    return summary
