"""What a layout of scans is: names, folders, and how a scan is written."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from x3spatial.synth.layouts.path import walk
from x3spatial.synth.layouts.scan import Frame, Scan, take_scan
from x3spatial.synth.options import SceneOptions
from x3spatial.synth.plan import Plan
from x3spatial.synth.rendering.camera import Camera

PATH_START = 10_000
"""Number of the first frame of the path. The room's own cameras keep the numbers of the data root."""
PATH_STEP = 10


class Layout(ABC):
    """One way to store scans. A room gives one scan, unless ``scans`` says otherwise."""

    depth_width: int
    """Most pixels a row of depth maps."""
    folders: tuple[str, ...]
    """Folders of a scan, which exist when ``write`` is called."""

    @abstractmethod
    def name(self, split: str, index: int) -> str:
        """The name of a room's first scan; ``split`` is a folder name of data roots."""

    @abstractmethod
    def folder(self, root: Path, split: str, name: str) -> Path:
        """The folder of a scan."""

    @abstractmethod
    def write(self, folder: Path, scan: Scan, frames: Iterator[Frame]) -> None:
        """Write all files of a scan into a folder that is empty but for ``folders``."""

    def write_index(  # noqa: B027 - most layouts have no such file
        self, root: Path, scans: Sequence[Mapping[str, Any]]
    ) -> None:
        """Write the files that list all scans of the root; ``scans`` as in their ``x3-scan.json``."""

    def names(self, split: str, index: int) -> tuple[str, ...]:
        """The names of all scans of a room."""
        return (self.name(split, index),)

    def scans(
        self, split: str, index: int, options: SceneOptions, plan: Plan, frames: int
    ) -> Iterator[Scan]:
        """The scans of a room, in the order of ``names``."""
        yield first_scan(self.name(split, index), split, index, options, plan, frames)


def first_scan(
    name: str, split: str, index: int, options: SceneOptions, plan: Plan, frames: int
) -> Scan:
    """The room as it was planned, seen by its own cameras and ``frames`` along a path."""
    path = path_cameras(split, index, options, plan, frames, visit=0)
    own = {10 * (number + 1): camera for number, camera in plan.cameras.items()}
    return take_scan(name, split, options, plan, own | path)


def path_cameras(
    split: str, index: int, options: SceneOptions, plan: Plan, count: int, visit: int
) -> dict[int, Camera]:
    """Frame number → camera along a path; each visit of the same room walks differently."""
    seeds = [options.seed, *split.encode(), index, visit]
    cameras = walk(
        plan.layout, count, next(iter(plan.cameras.values())), np.random.default_rng(seeds)
    )
    return {PATH_START + PATH_STEP * number: camera for number, camera in enumerate(cameras)}


def side_of_split(split: str) -> str:
    """``train``, ``val`` or ``test``, as data sets name their splits."""
    return "val" if split == "validation" else split
