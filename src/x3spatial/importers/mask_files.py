"""A PNG per object and view, in one of three layouts of the folder ``masks/``.

``masks/{object}/{photo}.png``, ``masks/{photo}/{object}.png`` or ``masks/{photo}_{object}.png``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from x3spatial.arrays import Bool
from x3spatial.importers.annotations import Annotations, ImageMasks
from x3spatial.importers.scene import Problem
from x3spatial.io.images import decode_mask, read_bytes
from x3spatial.io.orientation import orientation_of, upright

MASKS = "masks"
_SEPARATORS = "_-. "


def read_mask_files(folder: Path, photos: Sequence[Path]) -> Annotations:
    """Read the folder ``masks/`` of a scene.

    Args:
        folder: the folder of the masks.
        photos: the scene's photographs.
    """
    found = Annotations()
    stems = {photo.stem: photo.name for photo in photos}
    masks: dict[str, dict[str, Path]] = {}

    def add(photo: str, name: str, path: Path) -> None:
        entries = masks.setdefault(stems[photo], {})
        found.labels.setdefault(name, name.replace("_", " ").strip() or name)
        if name in entries:
            found.problems.append(Problem(str(path), f"a second mask of {name!r} in {photo}"))
            return
        entries[name] = path

    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir():
            _read_folder(path, stems, masks, add, found)
        elif path.suffix.lower() != ".png":
            found.problems.append(Problem(str(path), "masks must be PNG; not used"))
        elif (split := _split(path.stem, stems)) is not None:
            add(*split, path)
        else:
            found.problems.append(
                Problem(str(path), "its name does not begin with that of a photo")
            )
    for photo, entries in masks.items():
        drawn = {name: partial(_read, path) for name, path in entries.items()}
        found.images[photo] = ImageMasks(drawn)
    return found


def _read_folder(
    folder: Path,
    stems: Mapping[str, str],
    masks: dict[str, dict[str, Path]],
    add: object,
    found: Annotations,
) -> None:
    """One folder of masks: of a photo, or of an object."""
    assert callable(add)
    of_photo = folder.name in stems
    if of_photo:
        masks.setdefault(stems[folder.name], {})  # an empty folder: the photo shows no object
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.suffix.lower() != ".png":
            found.problems.append(Problem(str(path), "masks must be PNG; not used"))
        elif of_photo:
            add(folder.name, path.stem, path)
        elif path.stem in stems:
            add(path.stem, folder.name, path)
        else:
            found.problems.append(Problem(str(path), "no photo has this name"))


def _split(name: str, stems: Mapping[str, str]) -> tuple[str, str] | None:
    """``(photo, object)`` of ``{photo}_{object}``; the longest photo's name that fits."""
    fitting = [
        stem
        for stem in stems
        if name.startswith(stem) and name[len(stem) : len(stem) + 1] in tuple(_SEPARATORS)
    ]
    if not fitting:
        return None
    photo = max(fitting, key=len)
    rest = name[len(photo) :].strip(_SEPARATORS)
    return (photo, rest) if rest else None


def _read(path: Path) -> Bool:
    """A mask as viewers show it.

    Raises:
        ImageError: it cannot be read.
    """
    data = read_bytes(path)
    return np.asarray(upright(decode_mask(data), orientation_of(data)))
