"""The ``scene.json`` files of a root, kept small: as Python objects, thousands of them are most of the memory
of a build.
"""

from __future__ import annotations

import pickle
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache

from x3spatial.roots.scene_file import SceneFile

_UNPACKED = 16
"""Scenes that are kept as objects. Work goes through the scenes in order."""


class SceneFiles(Mapping[tuple[str, str], SceneFile]):
    """(split, scene) → what its ``scene.json`` knows, compressed in memory (a tenth of the objects).

    Every access may make a new object. Its contents are those at the time of the listing.
    """

    def __init__(self, scenes: Iterable[tuple[tuple[str, str], SceneFile]] = ()) -> None:
        self._packed: dict[tuple[str, str], bytes] = {}
        self._unpacked = lru_cache(_UNPACKED)(self._unpack)
        for key, scene in scenes:
            self.add(key, scene)

    def add(self, key: tuple[str, str], scene: SceneFile) -> None:
        """Add the file of a scene, once."""
        self._packed[key] = zlib.compress(pickle.dumps(scene, pickle.HIGHEST_PROTOCOL), 1)

    def _unpack(self, key: tuple[str, str]) -> SceneFile:
        scene: SceneFile = pickle.loads(zlib.decompress(self._packed[key]))  # noqa: S301 - our own bytes
        return scene

    def __getitem__(self, key: tuple[str, str]) -> SceneFile:
        return self._unpacked(key)

    def __contains__(self, key: object) -> bool:
        return key in self._packed

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._packed)

    def __len__(self) -> int:
        return len(self._packed)

    @classmethod
    def _of(cls, packed: dict[tuple[str, str], bytes]) -> SceneFiles:
        files = cls()
        files._packed = packed
        return files

    def __reduce__(
        self,
    ) -> tuple[Callable[..., SceneFiles], tuple[dict[tuple[str, str], bytes]]]:
        return self._of, (self._packed,)


class ScenesOfSplit(Mapping[str, SceneFile | None]):
    """Scene → what its ``scene.json`` knows, None where there is none, for scenes of one split."""

    def __init__(
        self, files: Mapping[tuple[str, str], SceneFile], split: str, names: Iterable[str]
    ) -> None:
        self._files, self._split = files, split
        self._names = frozenset(names)

    def __getitem__(self, name: str) -> SceneFile | None:
        if name not in self._names:
            raise KeyError(name)
        return self._files.get((self._split, name))

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._names))

    def __len__(self) -> int:
        return len(self._names)
