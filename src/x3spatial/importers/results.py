"""What became of the scenes of an import, now or in an earlier run."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from x3spatial.errors import UserError
from x3spatial.importers.registry import SceneRef
from x3spatial.importers.scene import Problem
from x3spatial.io.files import read_manifest
from x3spatial.roots.scene_file import SCENE_FILE
from x3spatial.settings import differences
from x3spatial.tables import Table, Tabular
from x3spatial.texts import counted

_OPTION = "--out"


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

    def with_scenes(self, results: Iterable[SceneResult]) -> ImportSummary:
        """This summary with the results of scenes added."""
        for result in results:
            self.add(result)
        return self

    def table(self) -> Table:
        """The chosen views, one row per object."""
        rows = [
            (f"{c.split}/{c.scene}", c.uid, c.label, " ".join(_shown(view) for view in c.views))
            for c in self.choices
        ]
        notes = tuple(f"{count:,} left out: {why}" for why, count in self.left_out.items())
        heads = ("scene", "uid", "label", "frames (degrees to view 01, or absent)")
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
        return f"{view.frame}(absent{f', {view.absent_by}' if view.absent_by else ''})"
    if view.angle is None or view.rank == 1:
        return view.frame
    return f"{view.frame}({view.angle:.0f})"


def check_splits(out_dir: Path, refs: Sequence[SceneRef]) -> None:
    """Check that a root does not have the split validation under its other name.

    Raises:
        UserError: it has.
    """
    if any(ref.split == "validation" for ref in refs) and (out_dir / "val").is_dir():
        raise UserError(f"{_OPTION} {out_dir}: has a folder val/, which names the split validation")


def kept_scenes(
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
            kept.append(result_of(ref, contents))
    return kept


def result_of(ref: SceneRef, contents: Mapping[str, Any], *, kept: bool = True) -> SceneResult:
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
