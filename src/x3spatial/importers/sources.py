"""Finding the scenes of a source: the source itself, its folders, or the folders of its splits."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from x3spatial.errors import UserError
from x3spatial.importers.names import safe_name, unique_names
from x3spatial.importers.options import ReadOptions
from x3spatial.importers.registry import Found, SceneRef
from x3spatial.importers.scene import Problem
from x3spatial.io.paths import check_utf8
from x3spatial.roots.layout import SPLITS


def find_scenes(
    kind: str,
    source: Path,
    options: ReadOptions,
    is_scene: Callable[[Path], bool],
    needs: str,
) -> Found:
    """List the scenes of a source that has one folder per scene.

    Args:
        kind: the kind of recording.
        source: a scene, a folder of scenes, or a folder of splits.
        options: the split of scenes that are in no split's folder, and the scenes to use.
        is_scene: whether a folder is a scene.
        needs: what makes a folder a scene, for messages.

    Raises:
        UserError: the source is no folder, holds no scene, or lacks a scene of ``--scenes``.
    """
    check_utf8(source, "SOURCE")
    if not source.is_dir():
        what = "not a folder" if os.path.lexists(source) else "no such folder"
        raise UserError(f"SOURCE {source}: {what}")
    problems: list[Problem] = []
    places = _candidates(source, options.split, is_scene)
    scenes = []
    for split, folder in places:
        try:
            folder.name.encode()
        except UnicodeEncodeError:
            shown = os.fsencode(folder).decode("utf-8", "backslashreplace")
            problems.append(Problem(shown, "name is not valid UTF-8; rename it"))
            continue
        if is_scene(folder):
            scenes.append((split, folder))
        else:
            problems.append(Problem(str(folder), f"not a scene of kind {kind}: has no {needs}"))
    if not scenes:
        raise UserError(
            f"SOURCE {source}: has no scene of kind {kind}; a scene is a folder with {needs}"
        )
    names = unique_names(str(folder) for _, folder in scenes)
    short: dict[str, str] = {}
    for _, folder in scenes:
        name = safe_name(folder.resolve().name)
        short[str(folder)] = name if name not in short.values() else names[str(folder)]
    refs = [SceneRef(kind, split, short[str(folder)], folder) for split, folder in scenes]
    return Found(select(refs, options), tuple(problems))


def select(refs: list[SceneRef], options: ReadOptions) -> tuple[SceneRef, ...]:
    """The scenes that ``--scenes`` names, all without it.

    Raises:
        UserError: a named scene is not there.
    """
    if options.scenes is None:
        return tuple(refs)
    known = {ref.name for ref in refs}
    if missing := [name for name in options.scenes if name not in known]:
        shown = ", ".join(sorted(known)[:5]) + (", ..." if len(known) > 5 else "")
        raise UserError(f"--scenes {missing[0]}: no such scene; the source has {shown}")
    return tuple(ref for ref in refs if ref.name in options.scenes)


def _candidates(
    source: Path, split: str, is_scene: Callable[[Path], bool]
) -> list[tuple[str, Path]]:
    if is_scene(source):
        return [(split, source)]
    found = []
    for folder in _folders(source):
        if folder.name in SPLITS and not is_scene(folder):
            named = "validation" if folder.name == "val" else folder.name
            found += [(named, scene) for scene in _folders(folder)]
        else:
            found.append((split, folder))
    return found


def _folders(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))


def find_named(
    kind: str,
    source: Path,
    options: ReadOptions,
    inside: Sequence[str],
    is_scene: Callable[[Path], bool],
    splits: Mapping[str, str],
    needs: str,
) -> Found:
    """List the scenes of a published data set, whose names tell their split.

    Args:
        kind: the kind of recording.
        source: the data set, its folder of scenes, or one scene.
        options: the split of scenes that no list names, and the scenes to use.
        inside: folders of scenes in the data set; where there is none, the scenes lie in ``source``.
        is_scene: whether a folder is a scene.
        splits: scene → split.
        needs: the file that makes a folder a scene, for messages.

    Raises:
        UserError: the source is no folder, holds no scene, or lacks a scene of ``--scenes``.
    """
    folders = [source / name for name in inside if (source / name).is_dir()]
    parts = [find_scenes(kind, folder, options_of_all(options), is_scene, needs)
             for folder in folders or [source]]  # fmt: skip
    refs = [
        replace(ref, split=splits.get(ref.path.resolve().name, ref.split))
        for part in parts
        for ref in part.scenes
    ]
    problems = tuple(problem for part in parts for problem in part.problems)
    return Found(select(refs, options), problems)


def options_of_all(options: ReadOptions) -> ReadOptions:
    """The options without the choice of scenes."""
    return replace(options, scenes=None)
