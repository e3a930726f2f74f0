"""Listing of a data root: ``{split}/{scene}/uid_{uid}/{NN}_{frame}_{kind}.png``.

The module reads names and label files only, no images. It reports every name that does not fit the
layout, so that no file in a root is skipped silently.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from x3spatial.errors import UserError

SPLITS = ("train", "validation", "val", "test")
"""Folder names of splits, in processing order."""

ORIGINAL, INPAINTED, MASK, DILATED = "original", "inpainted", "mask", "mask_dilated"
_KIND_OF_SUFFIX = {
    "original": ORIGINAL,
    "inpainted": INPAINTED,
    "mask": MASK,
    "mask_dialated": DILATED,  # the spelling of the published data
    "mask_dilated": DILATED,
    "depth": "depth",
}
IMAGE_ENDINGS = (".png", ".jpg", ".jpeg")
"""Endings of originals and inpainted images, in any case; masks and depth maps are PNG only."""
MAX_FRAME_BYTES = 115
"""Longest frame name: the name of a concat image holds two of them, and a file name 255 bytes."""
_FILE_NAME = re.compile(rf"(\d{{2,}})_(.+?)_({'|'.join(_KIND_OF_SUFFIX)})(\.[A-Za-z0-9]+)")
_OBJECT_DIR = re.compile(r"uid_(.+)")


class Problem(NamedTuple):
    """Bad data: its path and the reason."""

    path: str
    reason: str


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

    def folder(self, key: ObjectKey) -> Path:
        """Return the folder of an object's files."""
        return self.root / key.split / key.scene / f"uid_{key.uid}"


def short_split(split: str) -> str:
    """Return the split's name in JSON file names: ``val`` for ``validation``, else unchanged."""
    return "val" if split == "validation" else split


def list_root(root: Path, splits: Sequence[str] | None = None) -> RootListing:
    """List a data root.

    Args:
        root: the folder that holds the splits.
        splits: folder names to use (``val`` and ``validation`` name the same split); None for all.

    Raises:
        UserError: ``root`` is not a folder or has no split, a requested split is missing, or both
            ``val`` and ``validation`` exist.
    """
    if not root.is_dir():
        reason = "not a folder" if root.exists() else "no such folder"
        raise UserError(f"ROOT {root}: {reason}")
    present = [split for split in SPLITS if os.path.isdir(root / split)]  # noqa: PTH112 - never raises
    if not present:
        raise UserError(
            f"ROOT {root}: has no split folder; expected train/, validation/ or test/"
            " with {scene}/uid_{uid}/ below"
        )
    if "val" in present and "validation" in present:
        raise UserError(
            f"ROOT {root}: has both val/ and validation/, which name the same split; merge them"
        )
    chosen = present if splits is None else [_find_split(root, name, present) for name in splits]
    problems: list[Problem] = []
    for entry in _entries(root, problems):
        if not _is_utf8(entry, problems) or entry.name in present:
            continue
        if entry.name in SPLITS:
            problems.append(
                Problem(entry.path, "a split's name, but not a folder (a broken link?)")
            )
        elif _is_folder(entry):
            problems.append(Problem(entry.path, f"not a split folder ({', '.join(SPLITS)})"))
    objects: list[ObjectKey] = []
    for split in sorted(set(chosen), key=SPLITS.index):
        found: list[ObjectKey] = []
        for scene in _entries(root / split, problems):
            if not _is_utf8(scene, problems):
                continue
            if not _is_folder(scene):
                problems.append(Problem(scene.path, "unexpected file where scene folders are"))
                continue
            found.extend(_list_scene(split, scene, problems))
        objects.extend(_distinct(root, found, problems))
    return RootListing(root, tuple(sorted(set(chosen), key=SPLITS.index)), tuple(objects),
                       tuple(problems))  # fmt: skip


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
            problems.append(
                Problem(
                    str(root / str(key)),
                    f"object left out: its samples would have the same ids as those of {first}",
                )
            )


def _entries(folder: Path | str, problems: list[Problem]) -> list[os.DirEntry[str]]:
    """Return the entries sorted by name, without hidden ones; the order on disk has no influence.

    A folder that cannot be read has none, and is reported to ``problems``.
    """
    try:
        with os.scandir(folder) as entries:
            return sorted((e for e in entries if not e.name.startswith(".")), key=lambda e: e.name)
    except OSError as error:
        problems.append(Problem(str(folder), f"folder cannot be read: {error.strerror or error}"))
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
        problems.append(Problem(shown, "name is not valid UTF-8"))
        return False
    return True


def _list_scene(split: str, scene: os.DirEntry[str], problems: list[Problem]) -> list[ObjectKey]:
    keys: list[ObjectKey] = []
    for entry in _entries(scene.path, problems):
        found = _OBJECT_DIR.fullmatch(entry.name)
        if not _is_utf8(entry, problems):
            continue
        if _is_folder(entry) and found:
            keys.append(ObjectKey(split, scene.name, found[1]))
        elif entry.name != "scene.json" and not entry.name.endswith("_five_frames.json"):
            problems.append(Problem(entry.path, "not an object folder (uid_{uid}) or scene.json"))
    return keys


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
        found = _FILE_NAME.fullmatch(entry.name)
        reason = _misfit(entry, found)
        if found is None or reason is not None:
            problems.append(Problem(entry.path, reason or ""))
            continue
        rank, frame, suffix, _ = found.groups()
        by_rank.setdefault(int(rank), []).append((rank, frame, _KIND_OF_SUFFIX[suffix], path))
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
            reason = (
                "view left out: rank and frame make the same name as those of"
                f" {first.rank}_{first.frame}"
            )
            problems.append(Problem(str(next(iter(view.files.values()))), reason))
    label = _read_label(label_file, problems) if os.path.isfile(label_file) else None  # noqa: PTH113
    return ObjectFiles(key, folder, tuple(views), label, tuple(problems))


def _misfit(entry: os.DirEntry[str], found: re.Match[str] | None) -> str | None:
    """Return why a file of an object's folder is not used; None if it fits the layout."""
    if found is None:
        return "name is not {NN}_{frame}_{kind}.png"
    if not _is_file(entry):
        return "not a file, or a broken link"
    _, frame, suffix, ending = found.groups()
    endings = IMAGE_ENDINGS if suffix in (ORIGINAL, INPAINTED) else IMAGE_ENDINGS[:1]
    if ending.lower() not in endings:
        allowed = " or ".join(endings)
        return f"{suffix} files must be {allowed}, not {ending}; convert it"
    if len(frame.encode()) > MAX_FRAME_BYTES:
        return f"frame name of more than {MAX_FRAME_BYTES} bytes; shorten it"
    return None


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
            problems.append(Problem(str(paths[0]), f"two files of one rank and kind: {names}"))
            usable = usable and kind in (INPAINTED, "depth")
    single = {kind: paths[0] for kind, paths in by_kind.items() if len(paths) == 1}
    if not usable:
        return None
    frames = sorted({(rank, frame) for rank, frame, kind, _ in files if kind in single})
    if len(frames) > 1:
        names = ", ".join(f"{rank}_{frame}" for rank, frame in frames)
        problems.append(
            Problem(str(files[0][3]), f"files of one view name different frames: {names}")
        )
        return None
    if not frames:
        return None
    return ViewFiles(*frames[0], single)


def _read_label(path: Path, problems: list[Problem]) -> str | None:
    try:
        value = json.loads(path.read_bytes())
    except RecursionError:
        problems.append(Problem(str(path), "label file cannot be read: nested too deep"))
        return None
    except (OSError, ValueError) as error:
        problems.append(Problem(str(path), f"label file cannot be read: {error}"))
        return None
    label = value.get("label") if isinstance(value, dict) else None
    if not isinstance(label, str):
        return None
    try:
        label.encode()
    except UnicodeEncodeError:
        problems.append(Problem(str(path), "label is not valid Unicode"))
        return None
    return label
