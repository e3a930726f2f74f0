"""A data root of rendered scenes: what is in it, and rendering what is missing."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from x3spatial.engine.base import Engine
from x3spatial.errors import UserError
from x3spatial.io.files import make_dir, read_json
from x3spatial.progress import progress
from x3spatial.synth.options import SPLITS, SceneOptions, scene_name
from x3spatial.tables import Table, Tabular

if TYPE_CHECKING:
    from x3spatial.synth.writer import SceneCounts


_OPTION = "--out"
OTHER_FOLDER = "choose another folder"
_SCENE_NAME = re.compile(r"(train|val|test)_\d{4,}")


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


def scene_folders(out_dir: Path) -> list[Path]:
    """Return the folders of all scenes in a root, of any origin."""
    return [
        scene
        for split in SPLITS if (out_dir / split).is_dir()
        for scene in sorted((out_dir / split).iterdir()) if scene.is_dir()
    ]  # fmt: skip


def check_root(
    out_dir: Path,
    options: SceneOptions,
    scenes: Mapping[str, int],
    cure: str = f"{OTHER_FOLDER} or add --fresh",
) -> None:
    """Check that a root holds only scenes that these options make; ``cure`` ends the error.

    Raises:
        UserError: it has scenes made with other settings, or more scenes than requested.
    """
    for scene in scene_folders(out_dir):
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


def check_origin(out_dir: Path) -> None:
    """Check that a root holds no scenes but rendered ones.

    Raises:
        UserError: it does.
    """
    foreign = [p for p in scene_folders(out_dir) if not _SCENE_NAME.fullmatch(p.name)]
    if foreign:
        raise UserError(
            f"{_OPTION} {out_dir}: holds scenes of other origin ({foreign[0]}); {OTHER_FOLDER}"
        )


def scenes_of(scenes: Mapping[str, int]) -> list[tuple[str, int]]:
    """Every scene as its split and its number in it, in order."""
    return [(split, index) for split, count in scenes.items() for index in range(count)]


def render_into(
    out_dir: Path,
    scenes: Sequence[tuple[str, int]],
    options: SceneOptions,
    engine: Engine,
    workers: int | None,
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

    def name(job: SceneJob) -> str:
        return f"{job.split}/{scene_name(job.split, job.index)}"

    with progress("scenes", total, done=total - len(todo)) as advance:
        for counts in engine.map(write_scene, todo, workers=workers, name=name, folders=[out_dir]):
            summary.made += not counts.completed
            summary.completed += counts.completed
            summary.add(counts)
            advance()
    return summary
