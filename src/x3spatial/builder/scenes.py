"""The ``scene.json`` files of a root, each read once."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from x3spatial.roots.scene_file import SCENE_FILE, SceneFile, SceneFileError, read_scene_file


class SceneFiles:
    """What the makers of a root's scenes know; a file that cannot be read counts as missing.

    Such files are problems of the listing, which reads them for the place.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self.get = cache(self._get)

    def _get(self, split: str, scene: str) -> SceneFile | None:
        """The ``scene.json`` of a scene."""
        try:
            return read_scene_file(self._root / split / scene)
        except SceneFileError:
            return None

    def state(self, split: str, scene: str) -> list[int] | None:
        """Size and modification time of the file; None if it cannot be read."""
        if self.get(split, scene) is None:
            return None
        stat = (self._root / split / scene / SCENE_FILE).stat()
        return [stat.st_size, stat.st_mtime_ns]
