"""The kinds of recordings that ``x3 import`` reads: the only list of readers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from x3spatial.errors import UserError, flag
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

    @property
    def key(self) -> tuple[str, str]:
        """Split and name, unique in a data root."""
        return self.split, self.name


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
    reads: tuple[str, ...]
    """Its fields of ``ReadOptions``, besides those of all kinds."""


ALL_KINDS = ("split", "scenes", "every")
"""The fields of ``ReadOptions`` that every kind reads."""
_POSES = ("poses", "axes", "scale")
_MESH = (*_POSES, "depth_tolerance", "depth_disagree")

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            "posed", "images with cameras (nerfstudio, COLMAP) and instance ids", "posed",
            (*_POSES, "depth_scale"),
        ),
        Kind(
            "scannetpp", "ScanNet++ v2, iPhone frames: mesh, segments, COLMAP", "scannetpp",
            (*_MESH, "depth_scale"),
        ),
        Kind(
            "scannet", "ScanNet v2, extracted frames: mesh, segments, poses", "scannet",
            (*_MESH, "depth_scale"),
        ),
        Kind(
            "3rscan", "3RScan: mesh, sequences, removed objects between rescans", "threerscan",
            (*_MESH, "depth_scale"),
        ),
        Kind(
            "scenezoo", "other scanned data sets, through the package scenezoo", "zoo",
            ("depth_tolerance", "depth_disagree", "dataset", "frame_source"),
        ),
        Kind(
            "photos", "photographs of one room with masks of objects, no poses", "photos",
            ("mask_orientation",),
        ),
    )
}  # fmt: skip
"""All kinds by name; a new one is a module and an entry here."""


def check_read(kind: str, options: ReadOptions) -> None:
    """Check that a kind reads every option that was set.

    Raises:
        UserError: there is no such kind, or an option has no effect on it; the message names those on which
            it has.
    """
    read = {*ALL_KINDS, *_known(kind).reads}
    for field_ in fields(ReadOptions):
        value = getattr(options, field_.name)
        if field_.name not in read and value != field_.default:
            having = [name for name, other in KINDS.items() if field_.name in other.reads]
            raise UserError(
                f"{flag(field_.name)} {value}: has no effect on KIND {kind}, only on {', '.join(having)}"
            )


def reader(kind: str) -> Reader:
    """The reader of a kind.

    Raises:
        UserError: there is no such kind.
    """
    module: Reader = import_module(f"x3spatial.importers.{_known(kind).module}")
    return module


def _known(kind: str) -> Kind:
    if kind not in KINDS:
        raise UserError(f"KIND {kind}: known are {', '.join(KINDS)}")
    return KINDS[kind]
