"""``3RScan.json``: which scans show one room, how they are aligned, and what was removed between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from x3spatial.arrays import Float64
from x3spatial.errors import UserError
from x3spatial.importers.scene import Problem
from x3spatial.io.files import read_json

_RIGID = 0.01
_SPLITS = {"train": "train", "validation": "validation", "val": "validation", "test": "test"}


@dataclass(frozen=True)
class Scan:
    """One scan. ``to_reference`` [4, 4] maps its coordinates to the reference's; None: not published."""

    name: str
    reference: str
    split: str | None
    to_reference: Float64 | None
    removed: frozenset[int]
    """Ids of objects that the reference scan has and this one has not."""


def read_rescans(path: Path) -> tuple[dict[str, Scan], tuple[Problem, ...]]:
    """Scan → what the file says of it, and entries that cannot be used.

    Raises:
        UserError: the file is missing, or no list of rooms.
    """
    value = read_json(path, what="list of rooms and rescans")
    if not isinstance(value, list):
        raise UserError(f"{path}: expected a list of rooms with 'reference' and 'scans'")
    found: dict[str, Scan] = {}
    problems: list[Problem] = []
    for number, room in enumerate(value):
        try:
            name = str(room["reference"])
            split = _SPLITS.get(str(room.get("type")))
            rescans = list(room.get("scans", []))
        except (KeyError, TypeError, AttributeError):
            problems.append(Problem(str(path), f"room {number} has no 'reference' or 'scans'"))
            continue
        found[name] = Scan(name, name, split, np.eye(4), frozenset())
        for entry in rescans:
            try:
                scan = _rescan(entry, name, split)
            except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
                problems.append(
                    Problem(
                        str(path),
                        f"a rescan of {name} cannot be used: {type(error).__name__}: {error}",
                    )
                )
                continue
            found[scan.name] = scan
    return found, tuple(problems)


def _rescan(entry: Mapping[str, Any], reference: str, split: str | None) -> Scan:
    transform = None
    if entry.get("transform") is not None:
        transform = np.asarray(entry["transform"], np.float64).reshape(4, 4).T  # column by column
        turn = transform[:3, :3]
        if (
            not np.isfinite(transform).all()
            or np.abs(turn @ turn.T - np.eye(3)).max() > _RIGID
            or np.abs(transform[3] - [0, 0, 0, 1]).max() > _RIGID
        ):
            raise ValueError("'transform' is no rotation and position, column by column")
    return Scan(
        name=str(entry["reference"]),
        reference=reference,
        split=split,
        to_reference=transform,
        removed=frozenset(_id(item) for item in entry.get("removed") or []),
    )


def _id(item: Any) -> int:
    """The id of a removed object: a number, or an entry that holds it."""
    if isinstance(item, Mapping):
        item = item.get("instance_reference", item.get("instance"))
    return int(item)
