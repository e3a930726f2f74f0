"""``x3 import``: recordings into a data root, one scene after another, in parallel processes."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from x3spatial.engine.base import Engine
from x3spatial.engine.registry import open_engine
from x3spatial.errors import UserError
from x3spatial.importers.options import ChoiceOptions, ReadOptions, check_options
from x3spatial.importers.registry import SceneRef, check_read, reader
from x3spatial.importers.scene import Problem, SceneError
from x3spatial.inpainting import TIMEOUT
from x3spatial.inpainting import open_engine as open_inpainting
from x3spatial.io.files import make_dir, read_manifest
from x3spatial.io.locks import lock_dir
from x3spatial.progress import progress
from x3spatial.roots.scene_file import SCENE_FILE
from x3spatial.settings import differences
from x3spatial.tables import Table, Tabular
from x3spatial.texts import counted

if TYPE_CHECKING:
    from x3spatial.importers.plan import Plan

_OPTION = "--out"
VERSION = 1
"""Increase it if the same source and settings give other bytes."""


@dataclass(frozen=True)
class SceneJob:
    """One scene to import; picklable. ``folder`` is the split's folder; None: only the choice is made."""

    ref: SceneRef
    read: ReadOptions
    choice: ChoiceOptions
    inpaint: str
    timeout: float
    settings: Mapping[str, Any]
    folder: Path | None


@dataclass(frozen=True)
class ViewChoice:
    """One chosen view."""

    rank: int
    frame: str
    pixels: int
    visible_fraction: float | None
    absent_by: str | None
    angle: float | None
    """Degrees at the object to view 01; None where unknown."""


@dataclass(frozen=True)
class ObjectChoice:
    """One chosen object with its views in order of rank."""

    split: str
    scene: str
    uid: str
    label: str
    views: tuple[ViewChoice, ...]


@dataclass(frozen=True)
class SceneResult:
    """What became of one scene."""

    ref: SceneRef
    choices: tuple[ObjectChoice, ...] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    skipped: bool = False
    """Whether the scene cannot be used; the last of ``problems`` is the reason."""
    kept: bool = False
    """Whether an earlier run wrote it."""


@dataclass(repr=False)
class ImportSummary(Tabular):
    """What a run imported, or would import (``dry_run``)."""

    out_dir: Path
    dry_run: bool = False
    scenes: dict[str, int] = field(default_factory=dict)
    """Split → scenes in the root."""
    made: int = 0
    objects: int = 0
    views: int = 0
    absent: dict[str, int] = field(default_factory=dict)
    """Cause → views that do not show their object."""
    skipped: int = 0
    """Scenes that cannot be used."""
    left_out: dict[str, int] = field(default_factory=dict)
    """Reason → objects and frames that the choice left out."""
    problems: list[Problem] = field(default_factory=list)
    choices: list[ObjectChoice] = field(default_factory=list)

    def add(self, result: SceneResult) -> None:
        """Add the result of one scene."""
        self.problems += result.problems
        if result.skipped:
            self.skipped += 1
            return
        split = result.ref.split
        self.scenes[split] = self.scenes.get(split, 0) + 1
        self.made += not result.kept
        self.objects += len(result.choices)
        self.choices += result.choices
        self.left_out = dict(sorted((Counter(self.left_out) + Counter(result.left_out)).items()))
        for choice in result.choices:
            self.views += len(choice.views)
            for view in choice.views:
                if view.pixels == 0:
                    cause = view.absent_by or "as given"
                    self.absent[cause] = self.absent.get(cause, 0) + 1

    def table(self) -> Table:
        """The chosen views, one row per object."""
        rows = [
            (f"{c.split}/{c.scene}", c.uid, c.label, " ".join(_shown(view) for view in c.views))
            for c in self.choices
        ]
        notes = tuple(f"{count:,} left out: {why}" for why, count in self.left_out.items())
        heads = ("scene", "uid", "label", "frames (degrees to view 01; why absent)")
        return Table(str(self.out_dir), heads, tuple(rows), notes, keys=2, prose=True)

    @property
    def line(self) -> str:
        """The counts in one line."""
        total = sum(self.scenes.values())
        absent = ", ".join(f"{n} {cause}" for cause, n in sorted(self.absent.items()))
        verb = "would be made" if self.dry_run else "made now"
        return (
            f"{counted(total, 'scene')} ({self.made} {verb}), {counted(self.objects, 'object')},"
            f" {counted(self.views, 'view')}"
            + (f", {sum(self.absent.values())} without their object ({absent})" if absent else "")
            + f"; {counted(self.skipped, 'scene')} skipped, {counted(len(self.problems), 'problem')}"
        )


def _shown(view: ViewChoice) -> str:
    if view.pixels == 0:
        return f"{view.frame}(-{view.absent_by or 'absent'})"
    if view.angle is None or view.rank == 1:
        return view.frame
    return f"{view.frame}({view.angle:.0f})"


def import_scans(
    kind: str,
    source: str | Path,
    out_dir: str | Path,
    read: ReadOptions | None = None,
    choice: ChoiceOptions | None = None,
    *,
    inpaint: str = "telea",
    inpaint_timeout: float = TIMEOUT,
    workers: int | None = None,
    engine: str | Engine = "local",
    ray_address: str | None = None,
    fresh: bool = False,
    dry_run: bool = False,
) -> ImportSummary:
    """Import recorded rooms into the data root ``out_dir``.

    Scenes that an earlier run with the same settings completed are kept. The bytes depend on the source and
    the settings only, not on ``workers`` or interruptions. Scenes that cannot be used are skipped and
    reported.

    Args:
        kind: a name in ``importers.registry.KINDS``.
        source: the recordings, as the kind has them.
        out_dir: the data root to write.
        read: how the source is read; None for the defaults.
        choice: which objects and frames are used; None for the defaults.
        inpaint: the inpainting engine, ``KIND[:ARG]`` of ``x3spatial.inpainting``.
        inpaint_timeout: seconds that an external program has for one image.
        workers: processes; None for one per usable CPU.
        engine: a name in ``engine.registry.ENGINES``, or an engine that is open.
        ray_address: for ``ray``: the cluster to join; None to start Ray on this machine.
        fresh: replace the scenes of earlier imports.
        dry_run: make the choice only; nothing is written.

    Returns:
        What ``out_dir`` holds of the source now, or would hold.

    Raises:
        UserError: an option is wrong, the source is not of that kind, or ``out_dir`` cannot be written or
            holds scenes of the same name that are not of an equal import.
        UnitsFailed: a scene met an error that is not one of its data; all others are done.
    """
    source, out_dir = Path(source), Path(out_dir)
    read, choice = read or ReadOptions(), choice or ChoiceOptions()
    check_options(read, choice)
    check_read(kind, read)
    if workers is not None and workers < 1:
        raise UserError(f"--workers {workers}: must be at least 1")
    inpainting = open_inpainting(inpaint, timeout=inpaint_timeout)
    found = reader(kind).find(source, read)
    settings = {
        "version": VERSION,
        "kind": kind,
        "read": read.to_json(),
        "choice": choice.to_json(),
        "inpaint": None if inpainting is None else inpainting.describe(),
    }
    summary = ImportSummary(out_dir, dry_run, problems=list(found.problems))

    def job(ref: SceneRef, folder: Path | None) -> SceneJob:
        return SceneJob(ref, read, choice, inpaint, inpaint_timeout, settings, folder)

    def run(jobs: list[SceneJob], kept: list[SceneResult], folders: list[Path]) -> ImportSummary:
        with open_engine(engine, ray_address) as opened:
            return _run(summary, jobs, kept, opened, workers, [source, *folders])

    if dry_run:
        return run([job(ref, None) for ref in found.scenes], [], [])
    if out_dir.resolve().is_relative_to(source.resolve()):
        raise UserError(f"{_OPTION} {out_dir}: lies in SOURCE {source}; choose a folder outside it")
    make_dir(out_dir, _OPTION)
    with lock_dir(out_dir, _OPTION):
        _check_splits(out_dir, found.scenes)
        kept = _kept(out_dir, found.scenes, settings, fresh=fresh)
        names = {(result.ref.split, result.ref.name) for result in kept}
        todo = [r for r in found.scenes if (r.split, r.name) not in names]
        for split in dict.fromkeys(ref.split for ref in todo):
            make_dir(out_dir / split, _OPTION)
        run([job(ref, out_dir / ref.split) for ref in todo], kept, [out_dir])
        for split in {ref.split for ref in todo}:
            if not any((out_dir / split).iterdir()):
                (out_dir / split).rmdir()  # an empty split is a problem of the root
    return summary


def _check_splits(out_dir: Path, refs: Sequence[SceneRef]) -> None:
    if any(ref.split == "validation" for ref in refs) and (out_dir / "val").is_dir():
        raise UserError(f"{_OPTION} {out_dir}: has a folder val/, which names the split validation")


def _kept(
    out_dir: Path, refs: Sequence[SceneRef], settings: Mapping[str, Any], *, fresh: bool
) -> list[SceneResult]:
    """The scenes that an earlier run completed; with ``fresh`` they are removed.

    Raises:
        UserError: a folder of a scene's name is not of an equal import.
    """
    kept = []
    for ref in refs:
        folder = out_dir / ref.split / ref.name
        if not folder.exists():
            continue
        contents = read_manifest(folder / SCENE_FILE)
        if contents is None or contents.get("made_by") != "x3 import":
            raise UserError(
                f"{folder}: exists and was not written by x3 import; choose another folder for --out"
            )
        if fresh:
            shutil.rmtree(folder)
        elif changed := differences(contents.get("settings") or {}, settings):
            name, how = ".".join(changed[0].keys), changed[0]
            raise UserError(
                f"{folder}: imported with other settings ({name} {how}); choose another folder or add"
                " --fresh"
            )
        else:
            kept.append(_result_of(ref, contents))
    return kept


def _run(
    summary: ImportSummary,
    jobs: list[SceneJob],
    kept: list[SceneResult],
    engine: Engine,
    workers: int | None,
    folders: list[Path],
) -> ImportSummary:
    results = {(result.ref.split, result.ref.name): result for result in kept}

    def name(job: SceneJob) -> str:
        return f"{job.ref.split}/{job.ref.name}"

    with progress("scenes", len(jobs) + len(kept), done=len(kept)) as advance:
        for result in engine.map(import_scene, jobs, workers=workers, name=name, folders=folders):
            results[result.ref.split, result.ref.name] = result
            advance()
    for key in sorted(results):  # whatever the order of completion
        summary.add(results[key])
    return summary


def import_scene(job: SceneJob) -> SceneResult:
    """Open, plan and write one scene."""
    from x3spatial.importers.plan import make_plan
    from x3spatial.importers.scene_writer import describe, write_scene
    from x3spatial.io.images import ImageError

    try:
        scene = reader(job.ref.kind).open_scene(job.ref, job.read)
    except SceneError as error:
        return SceneResult(job.ref, problems=(error.problem,), skipped=True)
    if job.read.every > 1:
        scene.frames = scene.frames[:: job.read.every]
    try:
        plan: Plan = make_plan(scene, job.choice, str(job.ref.path))
        if job.folder is None:
            contents = describe(scene, plan, job.settings, list(plan.problems))
        else:
            inpainting = open_inpainting(job.inpaint, timeout=job.timeout)
            contents = write_scene(scene, plan, job.folder, job.settings, inpainting)
    except SceneError as error:
        found = (*dict.fromkeys(scene.problems), error.problem)
        return SceneResult(job.ref, problems=found, skipped=True)
    except ImageError as error:
        problem = Problem(str(job.ref.path), f"changed while it was read: {error.reason}")
        return SceneResult(job.ref, problems=(problem,), skipped=True)
    finally:
        scene.close()
    return _result_of(job.ref, contents, kept=False)


def _result_of(ref: SceneRef, contents: Mapping[str, Any], *, kept: bool = True) -> SceneResult:
    """The result of a scene from the contents of its ``scene.json``."""
    from x3spatial.roots.scene_file import parse_scene_file

    scene = parse_scene_file(contents)
    assert scene is not None, "a scene file that was written knows its objects"
    choices = []
    for item in contents["objects"]:
        if item["views"] is None:
            continue
        first = item["views"][0]["frame"]
        views = tuple(
            ViewChoice(
                view["rank"],
                view["frame"],
                view["pixels"],
                view["visible_fraction"],
                view["absent_by"],
                scene.angle(str(item["uid"]), first, view["frame"]),
            )
            for view in item["views"]
        )
        choices.append(ObjectChoice(ref.split, ref.name, item["uid"], item["label"], views))
    problems = tuple(Problem(**entry) for entry in contents["problems"])
    return SceneResult(ref, tuple(choices), contents["left_out"], problems, kept=kept)
