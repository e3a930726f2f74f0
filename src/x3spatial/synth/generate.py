"""``x3 scenes``: renders synthetic rooms into a data root, in parallel processes.

This module is cheap to import: it loads numpy and the ray tracer with the first scene.
"""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from x3spatial.engine.local import default_workers, map_unordered
from x3spatial.engine.shards import Shard, parse_shard
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


def read_scene(out_dir: Path, split: str, index: int) -> Any:
    """What the ``scene.json`` of a scene holds; None if the scene has none."""
    from x3spatial.roots.scene_file import SCENE_FILE

    path = out_dir / split / scene_name(split, index) / SCENE_FILE
    return read_json(path) if path.exists() else None


def is_complete(contents: Any) -> bool:
    """Whether a ``scene.json`` has all keys of the present format."""
    from x3spatial.roots.scene_file import FORMAT

    return isinstance(contents, dict) and contents.get("format") == FORMAT


def _scene_folders(out_dir: Path) -> list[Path]:
    """Return the folders of all scenes in a root, of any origin."""
    return [
        scene
        for split in SPLITS if (out_dir / split).is_dir()
        for scene in sorted((out_dir / split).iterdir()) if scene.is_dir()
    ]  # fmt: skip


def check_root(
    out_dir: Path,
    options: SceneOptions,
    scenes: dict[str, int],
    cure: str = "choose another folder or add --fresh",
) -> None:
    """Check that a root holds only scenes that these options make; ``cure`` ends the error.

    Raises:
        UserError: it has scenes made with other settings, or more scenes than requested.
    """
    for scene in _scene_folders(out_dir):
        if (scene / "scene.json").exists():
            written = read_json(scene / "scene.json", what="scene description")
            settings = written.get("settings") if isinstance(written, dict) else None
            if settings != options.to_json():
                raise UserError(
                    f"{scene}: made with other settings ({_difference(settings, options)}); {cure}"
                )
        split = scene.parent.name
        if split in scenes and int(scene.name.rsplit("_", 1)[1]) >= scenes[split]:
            raise UserError(f"{scene}: beyond the {scenes[split]} scenes requested; {cure}")


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
    fast: bool = False,
    fresh: bool = False,
    shard: str | Shard | None = None,
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
        fast: smaller default images with fewer samples, for training.
        fresh: delete the scenes of earlier runs in ``out_dir`` first; with ``shard`` those of this shard.
        shard: make only every Nth scene, ``K/N``, for ``x3spatial.merge``; None for all.

    Returns:
        What ``out_dir`` holds now, or the shard.

    Raises:
        UserError: an option is out of range, ``out_dir`` cannot be written or holds other scenes, or no
            ray tracer is installed (the extra ``render``).
    """
    out_dir = Path(out_dir)
    scenes = {split: count for split, count in scenes.items() if count}
    options = scene_options(
        scenes, objects=objects, views=views, width=width, height=height, samples=samples, seed=seed,
        depth=depth, style=style, fast=fast,
    )  # fmt: skip
    if workers is not None and workers < 1:
        raise UserError(f"--workers {workers}: must be at least 1")
    number = workers or default_workers()
    part = parse_shard(shard)
    if part is not None:
        from x3spatial.synth.shards import render_shard

        return render_shard(part, out_dir, scenes, options, number, fresh=fresh)
    make_dir(out_dir, _OPTION)
    with lock_dir(out_dir, _OPTION):
        check_origin(out_dir)
        if fresh:
            for scene in _scene_folders(out_dir):
                shutil.rmtree(scene)
        check_root(out_dir, options, scenes)
        return render_into(out_dir, scenes_of(scenes), options, number)


def check_origin(out_dir: Path) -> None:
    """Check that a root holds no scenes but rendered ones.

    Raises:
        UserError: it does.
    """
    foreign = [p for p in _scene_folders(out_dir) if not _SCENE_NAME.fullmatch(p.name)]
    if foreign:
        raise UserError(
            f"{_OPTION} {out_dir}: holds scenes of other origin ({foreign[0]}); choose another folder"
        )


def scenes_of(scenes: Mapping[str, int]) -> list[tuple[str, int]]:
    """Every scene as its split and its number in it, in order."""
    return [(split, index) for split, count in scenes.items() for index in range(count)]


def render_into(
    out_dir: Path, scenes: Sequence[tuple[str, int]], options: SceneOptions, workers: int
) -> SceneSummary:
    """Render those of the scenes that are not complete in ``out_dir``."""
    from x3spatial.synth.writer import SceneJob, count, write_scene

    summary = SceneSummary(out_dir, dict(Counter(split for split, _ in scenes)))
    todo: list[SceneJob] = []
    for split in summary.scenes:
        make_dir(out_dir / split, _OPTION)
    for split, index in scenes:
        contents = read_scene(out_dir, split, index)
        if contents is not None and is_complete(contents):
            summary.add(count(contents))
        else:
            # Images of a scene with an older scene.json are kept.
            todo.append(SceneJob(split, index, out_dir / split, options, contents is not None))
    total = len(scenes)
    with progress("scenes", total, done=total - len(todo)) as advance:
        for counts in map_unordered(write_scene, todo, max(1, min(workers, len(todo)))):
            summary.made += not counts.completed
            summary.completed += counts.completed
            summary.add(counts)
            advance()
    return summary
