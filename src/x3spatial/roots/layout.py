"""Listing of a data root: ``{split}/{scene}/uid_{uid}/{NN}_{frame}_{kind}.png``.

The module reads names, label files and ``scene.json``, no images. It reports every name that does not fit the
layout, so that no file in a root is skipped silently.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from x3spatial.engine.shard_notes import digest
from x3spatial.errors import UserError
from x3spatial.io.paths import check_utf8
from x3spatial.roots import findings, locate
from x3spatial.roots.findings import Problem
from x3spatial.roots.json_files import is_encodable, load_json
from x3spatial.roots.names import DILATED, INPAINTED, MASK, ORIGINAL, FileName, parse_name
from x3spatial.roots.scene_file import (
    SCENE_FILE,
    SceneFile,
    SceneFileError,
    declared_place,
    parse_scene_file,
)
from x3spatial.roots.scene_files import SceneFiles

__all__ = (
    "DILATED", "INPAINTED", "MASK", "ORIGINAL", "SPLITS", "ObjectFiles", "ObjectKey", "Problem",
    "RootListing", "ViewFiles", "list_object", "list_root", "outside_root", "short_split",
)  # fmt: skip

SPLITS = ("train", "validation", "val", "test")
"""Folder names of splits, in processing order."""
_OBJECT_DIR = re.compile(r"uid_(.+)")


class ObjectKey(NamedTuple):
    """Key of an object, unique in a data root."""

    split: str
    scene: str
    uid: str

    def __str__(self) -> str:
        return f"{self.split}/{self.scene}/uid_{self.uid}"


@dataclass(frozen=True, slots=True)
class ViewFiles:
    """The files of one view by kind. The paths exist; their contents have not been read."""

    rank: str
    frame: str
    files: dict[str, Path]


@dataclass(frozen=True, slots=True)
class ObjectFiles:
    """One ``uid_*`` folder: its views in rank order, its label and the problems with its file names."""

    key: ObjectKey
    folder: Path
    views: tuple[ViewFiles, ...]
    label: str | None
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class RootListing:
    """The objects of the chosen splits, sorted, and every entry that does not fit the layout."""

    root: Path
    splits: tuple[str, ...]
    objects: tuple[ObjectKey, ...]
    problems: tuple[Problem, ...]
    places: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """(split, scene) → ``place`` of its ``scene.json``, for the scenes that declare one."""
    scenes: Mapping[tuple[str, str], SceneFile] = field(default_factory=dict)
    """(split, scene) → what its ``scene.json`` knows of cameras and objects, for the scenes that have one."""

    def folder(self, key: ObjectKey) -> Path:
        """Return the folder of an object's files."""
        return self.root / key.split / key.scene / f"uid_{key.uid}"

    def identity(self) -> dict[str, Any]:
        """What must be the same of the objects in all shards of a run."""
        keys = [list(key) for key in self.objects]
        return {"objects": len(keys), "listing": digest(keys)}


def short_split(split: str) -> str:
    """Return the split's name in JSON file names: ``val`` for ``validation``, else unchanged."""
    return "val" if split == "validation" else split


def list_root(root: Path, splits: Sequence[str] | None = None) -> RootListing:
    """List a data root.

    Args:
        root: the folder that holds the splits.
        splits: folder names to use (``val`` and ``validation`` name the same split); None for all.

    Raises:
        UserError: ``root`` is not a folder, not UTF-8 or has no split, a requested split is missing, or
            both ``val`` and ``validation`` exist.
    """
    check_utf8(root, "ROOT")
    if not os.path.isdir(root):  # noqa: PTH112 - never raises
        reason = "not a folder" if os.path.lexists(root) else "no such folder"
        raise UserError(f"ROOT {root}: {reason}")
    present = [split for split in SPLITS if os.path.isdir(root / split)]  # noqa: PTH112 - never raises
    if not present:
        raise UserError(
            f"ROOT {root}: has no split folder; expected train/, validation/ or test/"
            " with {scene}/uid_{uid}/ below" + locate.suggestion(root, SPLITS)
        )
    if "val" in present and "validation" in present:
        raise UserError(
            f"ROOT {root}: has both val/ and validation/, which name the same split; merge them"
        )
    chosen = present if splits is None else [_find_split(root, name, present) for name in splits]
    ordered = tuple(sorted(set(chosen), key=SPLITS.index))
    problems: list[Problem] = []
    for entry in _entries(root, problems):
        if not _is_utf8(entry, problems) or entry.name in present:
            continue
        if entry.name in SPLITS:
            problems.append(findings.SPLIT_NOT_A_FOLDER.at(entry.path))
        elif _is_folder(entry):
            problems.append(findings.NOT_A_SPLIT.at(entry.path))
    objects: list[ObjectKey] = []
    places: dict[tuple[str, str], str] = {}
    scenes = SceneFiles()
    for split in ordered:
        found: list[ObjectKey] = []
        for folder in _entries(root / split, problems):
            if not _is_utf8(folder, problems):
                continue
            if not _is_folder(folder):
                problems.append(findings.FILE_AMONG_SCENES.at(folder.path))
                continue
            keys, place, scene = _list_scene(split, folder, problems)
            found.extend(keys)
            if place is not None:
                places[split, folder.name] = place
            if scene is not None:
                scenes.add((split, folder.name), scene)
        if not found:
            problems.append(findings.SPLIT_EMPTY.at(root / split))
        objects.extend(_distinct(root, found, problems))
    return RootListing(root, ordered, tuple(objects), tuple(problems), places, scenes)


def outside_root(root: Path, out_dir: Path, option: str) -> None:
    """Refuse an output folder in the data root, also where it is reached through a link.

    Raises:
        UserError: ``out_dir`` lies in ``root``; the message names ``option``.
    """
    for path in (os.path.abspath, os.path.realpath):
        if Path(path(out_dir)).is_relative_to(path(root)):
            raise UserError(
                f"{option} {out_dir}: lies in the data root {root}; choose a folder outside it"
            )


def _find_split(root: Path, name: str, present: list[str]) -> str:
    for split in present:
        if short_split(split) == short_split(name):
            return split
    raise UserError(f"--splits {name}: no such split in {root}; it has {', '.join(present)}")


def _distinct(
    root: Path, keys: Sequence[ObjectKey], problems: list[Problem]
) -> Iterator[ObjectKey]:
    """Yield the objects of a split, but one whose scene and uid make the same text as an earlier one's.

    Ids join the two with ``_uid``, which may be part of either: scene ``a``, uid ``x_uidx`` and scene
    ``a_uidx``, uid ``x`` would have the same ids.
    """
    seen: dict[str, ObjectKey] = {}
    for key in keys:
        first = seen.setdefault(f"{key.scene}_uid{key.uid}", key)
        if first is key:
            yield key
        else:
            problems.append(findings.SAME_OBJECT_IDS.at(root / str(key), first=first))


def _entries(folder: Path | str, problems: list[Problem]) -> list[os.DirEntry[str]]:
    """Return the entries sorted by name, without hidden ones; the order on disk has no influence.

    A folder that cannot be read has none, and is reported to ``problems``.
    """
    try:
        with os.scandir(folder) as entries:
            return sorted((e for e in entries if not e.name.startswith(".")), key=lambda e: e.name)
    except OSError as error:
        problems.append(findings.FOLDER_UNREADABLE.at(folder, reason=error.strerror or error))
        return []


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Return whether the entry is a folder; a link that leads nowhere or to itself is not."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def _is_file(entry: os.DirEntry[str]) -> bool:
    """Return whether the entry is a regular file; a link that leads nowhere or to itself is not."""
    try:
        return entry.is_file()
    except OSError:
        return False


def _is_utf8(entry: os.DirEntry[str], problems: list[Problem]) -> bool:
    """Return whether the name is valid UTF-8, as JSON files need it; if not, report it."""
    try:
        entry.name.encode()
    except UnicodeEncodeError:
        shown = os.fsencode(entry.path).decode("utf-8", "backslashreplace")
        problems.append(findings.NOT_UTF8.at(shown))
        return False
    return True


def _list_scene(
    split: str, folder: os.DirEntry[str], problems: list[Problem]
) -> tuple[list[ObjectKey], str | None, SceneFile | None]:
    """The objects of a scene, the place that its ``scene.json`` declares, and what else it knows."""
    keys: list[ObjectKey] = []
    place, scene = None, None
    others: list[Problem] = []
    for entry in _entries(folder.path, problems):
        found = _OBJECT_DIR.fullmatch(entry.name)
        if not _is_utf8(entry, problems):
            continue
        if _is_folder(entry) and found:
            keys.append(ObjectKey(split, folder.name, found[1]))
        elif entry.name == SCENE_FILE:
            place, scene = _read_scene(Path(entry.path), problems)
        elif not entry.name.endswith("_five_frames.json"):
            others.append(findings.NOT_AN_OBJECT.at(entry.path))
    if not keys and _OBJECT_DIR.fullmatch(folder.name):
        others = [findings.SCENE_LEVEL_MISSING.at(folder.path)]  # instead of each of its files
    problems.extend(others)
    return keys, place, scene


def _read_scene(path: Path, problems: list[Problem]) -> tuple[str | None, SceneFile | None]:
    """The place that a ``scene.json`` declares, and what else it knows; each None if unknown or malformed."""
    try:
        value = load_json(path)
    except ValueError as error:
        problems.append(findings.SCENE_FILE_UNREADABLE.at(path, reason=error))
        return None, None
    place, scene = None, None
    try:
        place = declared_place(value)
    except SceneFileError:
        problems.append(findings.PLACE_INVALID.at(path))
    try:
        scene = parse_scene_file(value, place)
    except SceneFileError as error:
        problems.append(findings.SCENE_FILE_MALFORMED.at(path, reason=error))
    return place, scene


def list_object(key: ObjectKey, folder: Path) -> ObjectFiles:
    """List one object's files and group them into views.

    A view is left out and reported if its files name different frames or if two files have the same
    kind; duplicates of ``inpainted`` or ``depth`` cost only that kind.
    """
    problems: list[Problem] = []
    by_rank: dict[int, list[tuple[str, str, str, Path]]] = {}
    label_file = folder.parent / f"{key.scene}_uid_{key.uid}_five_frames.json"
    for entry in _entries(folder, problems):
        path = Path(entry.path)
        if not _is_utf8(entry, problems):
            continue
        if entry.name.endswith("_five_frames.json"):
            label_file = path
            continue
        name = parse_name(entry.name, entry.path)
        if isinstance(name, FileName) and not _is_file(entry):
            name = findings.NOT_A_FILE.at(entry.path)
        if isinstance(name, Problem):
            problems.append(name)
            continue
        by_rank.setdefault(int(name.rank), []).append((*name, path))
    views: list[ViewFiles] = []
    names: dict[str, ViewFiles] = {}
    for _, files in sorted(by_rank.items()):
        view = _group_view(files, problems)
        if view is None:
            continue
        first = names.setdefault(f"{view.rank}{view.frame}", view)
        if first is view:
            views.append(view)
        else:
            path = next(iter(view.files.values()))
            problems.append(findings.SAME_VIEW_NAMES.at(path, first=f"{first.rank}_{first.frame}"))
    if not views:
        problems.append(findings.OBJECT_EMPTY.at(folder))
    label = _read_label(label_file, problems) if os.path.lexists(label_file) else None
    return ObjectFiles(key, folder, tuple(views), label, tuple(problems))


def _group_view(
    files: list[tuple[str, str, str, Path]], problems: list[Problem]
) -> ViewFiles | None:
    by_kind: dict[str, list[Path]] = {}
    for _, _, kind, path in files:
        by_kind.setdefault(kind, []).append(path)
    usable = True
    for kind, paths in by_kind.items():
        if len(paths) > 1:
            names = " and ".join(path.name for path in paths)
            problems.append(findings.TWO_FILES.at(paths[0], names=names))
            usable = usable and kind in (INPAINTED, "depth")
    single = {kind: paths[0] for kind, paths in by_kind.items() if len(paths) == 1}
    if not usable:
        return None
    frames = sorted({(rank, frame) for rank, frame, kind, _ in files if kind in single})
    if len(frames) > 1:
        names = ", ".join(f"{rank}_{frame}" for rank, frame in frames)
        problems.append(findings.TWO_FRAMES.at(files[0][3], names=names))
        return None
    if not frames:
        return None
    return ViewFiles(*frames[0], single)


def _read_label(path: Path, problems: list[Problem]) -> str | None:
    try:
        value = load_json(path)
    except ValueError as error:
        problems.append(findings.LABEL_UNREADABLE.at(path, reason=error))
        return None
    if isinstance(value, dict) and "label" not in value:
        return None
    label = value["label"] if isinstance(value, dict) else value
    if not isinstance(value, dict) or not isinstance(label, str):
        problems.append(findings.LABEL_INVALID.at(path, found=type(label).__name__))
        return None
    if not is_encodable(label):
        problems.append(findings.LABEL_NOT_UNICODE.at(path))
        return None
    return label
