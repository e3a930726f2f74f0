"""The journal of a build: finished objects, and the objects still to build."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from x3spatial.builder.jobs import ObjectResult
from x3spatial.builder.manifest import fingerprint
from x3spatial.io.journal import Journal
from x3spatial.roots.findings import Problem
from x3spatial.roots.layout import INPAINTED, ObjectFiles, ObjectKey, RootListing, list_object
from x3spatial.roots.scene_file import SCENE_FILE, SceneFile
from x3spatial.roots.views import is_missing_inpainted

JOURNAL = ".x3-build.jsonl"


class BuildState:
    """The journal of the output folder: finished objects, and the objects still to build."""

    def __init__(
        self, out_dir: Path, listing: RootListing, provenance: dict[str, Any], fresh: bool
    ) -> None:
        self.out_dir = out_dir
        self.journal = Journal(out_dir / JOURNAL)
        self._listing = listing
        self.any_inpainted = False
        """Whether any view of the root has an inpainted image."""
        self._wanted: dict[ObjectKey, str] = {}
        for key, item in self._list(listing.objects):
            about = self._scene_state(key)
            self._wanted[key] = fingerprint(item, self.place(key), about, provenance)
            self.any_inpainted |= any(INPAINTED in view.files for view in item.views)
        self._offsets: dict[ObjectKey, int] = {}
        self._superseded: set[str] = set()
        """Images of earlier results; those that no current result uses are deleted at the end."""
        self._stale: set[ObjectKey] = set()
        """Objects whose last line has other inputs or parameters and is not marked void yet."""
        self._problems: dict[ObjectKey, int] = {}
        """Number of listed problems of each object whose result is current."""
        for offset, value in self.journal.entries():
            if "void" in value:
                voided = self._offsets.pop(ObjectKey(*value["void"]), None)
                if voided is not None:
                    self._superseded.update(self.journal.value_at(voided)["images"])
                self._stale.discard(ObjectKey(*value["void"]))
                continue
            result = ObjectResult.from_json(value)
            self._offsets.pop(result.key, None)
            if not fresh and self._is_current(result):
                self._offsets[result.key] = offset
                self._problems[result.key] = self._count(result.problems)
                self._stale.discard(result.key)
            else:
                self._superseded.update(result.images)
                self._stale.add(result.key)
        self.todo = [key for key in listing.objects if key not in self._offsets]

    def fingerprint(self, key: ObjectKey) -> str:
        """The fingerprint that a current result of an object has."""
        return self._wanted[key]

    def place(self, key: ObjectKey) -> str | None:
        """The place that the scene of an object declares."""
        return self._listing.places.get((key.split, key.scene))

    def scene(self, key: ObjectKey) -> SceneFile | None:
        """What the ``scene.json`` of an object's scene knows."""
        return self._listing.scenes.get((key.split, key.scene))

    def _scene_state(self, key: ObjectKey) -> list[int] | None:
        """Size and modification time of a ``scene.json`` that is used."""
        if self.scene(key) is None:
            return None
        stat = (self._listing.root / key.split / key.scene / SCENE_FILE).stat()
        return [stat.st_size, stat.st_mtime_ns]

    def _count(self, problems: list[Problem]) -> int:
        """The number of problems that the manifest lists one by one."""
        if self.any_inpainted:
            return len(problems)
        return sum(not is_missing_inpainted(problem) for problem in problems)

    def _list(self, keys: tuple[ObjectKey, ...]) -> Iterator[tuple[ObjectKey, ObjectFiles]]:
        for key in keys:
            yield key, list_object(key, self._listing.folder(key))

    def _is_current(self, result: ObjectResult) -> bool:
        if self._wanted.get(result.key) != result.fingerprint:
            return False
        return all(size_of(self.out_dir / path) == size for path, size in result.images.items())

    def objects(self, keys: Iterable[ObjectKey]) -> Iterator[ObjectFiles]:
        """The files of objects."""
        return (item for _, item in self._list(tuple(keys)))

    def pending(self) -> Iterator[tuple[ObjectFiles, str]]:
        """Yield the objects to build and the fingerprints of their results."""
        for key, item in self._list(tuple(self.todo)):
            yield item, self._wanted[key]

    def void_stale(self) -> None:
        """Mark the lines of other inputs or parameters as void.

        This run overwrites their images. If it is killed meanwhile, a later run with the earlier
        parameters must not reuse those lines.
        """
        for key in sorted(self._stale):
            self.journal.append({"void": list(key)})

    def add(self, result: ObjectResult) -> None:
        """Record a finished object."""
        self._offsets[result.key] = self.journal.append(result.to_json())

    def results(self) -> Iterator[ObjectResult]:
        """Yield all results in sorted order, reading one at a time from the journal."""
        for key in self._listing.objects:
            yield ObjectResult.from_json(self.journal.value_at(self._offsets[key]))

    def finish(self) -> None:
        """Remove what no current result uses: lines of the journal, images of earlier builds."""
        compact = Journal(self.journal.path.with_suffix(".new"))
        with compact.open(fresh=True):
            for key in self._listing.objects:
                compact.append_line(self.journal.line_at(self._offsets[key]))
        live: set[str] = set()
        if self._superseded:
            live.update(path for result in self.results() for path in result.images)
        os.replace(compact.path, self.journal.path)
        for relative in sorted(self._superseded - live):
            path = self.out_dir / relative
            path.unlink(missing_ok=True)
            for folder in list(path.parents)[: relative.count("/")]:
                if not folder.is_dir() or any(folder.iterdir()):
                    break
                folder.rmdir()

    @property
    def has_leftovers(self) -> bool:
        """Whether the journal lists objects or images that no current result uses."""
        return bool(self._superseded or self._stale)

    @property
    def problem_count(self) -> int:
        """Number of problems of the objects; only where none is left to build."""
        return sum(self._problems[key] for key in self._offsets)


def size_of(path: Path) -> int | None:
    """The size of a file; None if it cannot be read."""
    try:
        return path.stat().st_size
    except OSError:
        return None
