"""The kinds of recordings that ``x3 import`` reads: the only list of readers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from x3spatial.errors import UserError
from x3spatial.importers.options import ReadOptions
from x3spatial.importers.scene import Problem, Scene


@dataclass(frozen=True)
class SceneRef:
    """A scene that was found and not yet opened; picklable."""

    kind: str
    split: str
    name: str
    path: Path
    """Its folder."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Whatever else the reader needs to open it; picklable."""


@dataclass(frozen=True)
class Found:
    """The scenes of a source, in order, and what in it cannot be a scene."""

    scenes: tuple[SceneRef, ...]
    problems: tuple[Problem, ...] = ()


class Reader(Protocol):
    """A module that reads one kind of recording."""

    def find(self, source: Path, options: ReadOptions) -> Found:
        """List the scenes of a source; reads names and small files, no images.

        Raises:
            UserError: the source is not of this kind, a package is missing, or an option is wrong.
        """

    def open_scene(self, ref: SceneRef, options: ReadOptions) -> Scene:
        """Open a scene; called in the worker.

        Raises:
            SceneError: the scene cannot be used.
        """


@dataclass(frozen=True)
class Kind:
    """A kind of recording."""

    name: str
    summary: str
    module: str
    """Module below ``x3spatial.importers`` with the functions ``find`` and ``open_scene``."""


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("posed", "images with cameras (nerfstudio, COLMAP) and instance ids", "posed"),
        Kind("scannetpp", "ScanNet++ v2, iPhone frames: mesh, segments, COLMAP", "scannetpp"),
        Kind("scannet", "ScanNet v2, extracted frames: mesh, segments, poses", "scannet"),
        Kind("3rscan", "3RScan: mesh, sequences, removed objects between rescans", "threerscan"),
        Kind("scenezoo", "other scanned data sets, through the package scenezoo", "zoo"),
        Kind("photos", "photographs of one room with masks of objects, no poses", "photos"),
    )
}
"""All kinds by name; a new one is a module and an entry here."""


def reader(kind: str) -> Reader:
    """The reader of a kind.

    Raises:
        UserError: there is no such kind.
    """
    if kind not in KINDS:
        raise UserError(f"KIND {kind}: known are {', '.join(KINDS)}")
    module: Reader = import_module(f"x3spatial.importers.{KINDS[kind].module}")
    return module
