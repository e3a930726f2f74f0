"""Moves the scenes of all shards of an import into the root."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from x3spatial.engine.shard_notes import Note
from x3spatial.engine.shard_sets import ShardSet
from x3spatial.importers.registry import SceneRef
from x3spatial.importers.results import (
    ImportSummary,
    SceneResult,
    check_splits,
    kept_scenes,
    result_of,
)
from x3spatial.importers.scene import Problem
from x3spatial.io.files import make_dir, read_json
from x3spatial.io.locks import lock_dir
from x3spatial.roots.scene_file import SCENE_FILE

_OPTION = "--out"


def merge(shards: ShardSet, workers: int) -> ImportSummary:
    """Move the scenes of all shards into the root.

    Raises:
        UserError: a scene is missing, or the root holds another scene of its name.
    """
    del workers  # files are renamed only
    out, settings = shards.out, shards.identity["settings"]
    summary = ImportSummary(out)
    results: list[SceneResult] = []
    with lock_dir(out, _OPTION):
        usable: list[tuple[Note, list[SceneRef]]] = []
        for note in shards.notes:
            summary.problems += [Problem(*problem) for problem in note.found["problems"]]
            refs = _refs(note)
            check_splits(out, refs)
            kept_scenes(out, refs, settings, fresh=False)
            skipped = _skipped(note, refs)
            results += skipped.values()
            scenes = [ref for ref in refs if ref.key not in skipped]
            for ref in scenes:
                file = Path(*ref.key, SCENE_FILE)
                if not any((root / file).is_file() for root in (out, note.folder)):
                    raise shards.refusal(note, f"{ref.split}/{ref.name} is not there")
            usable.append((note, scenes))
        for note, scenes in usable:
            earlier = {(split, name) for split, name in note.found["earlier"]}
            for ref in scenes:
                target = out.joinpath(*ref.key)
                if not target.exists():
                    make_dir(target.parent, _OPTION)
                    os.replace(note.folder.joinpath(*ref.key), target)
                contents = read_json(target / SCENE_FILE)
                results.append(result_of(ref, contents, kept=ref.key in earlier))
    return summary.with_scenes(sorted(results, key=lambda result: result.ref.key))


def _refs(note: Note) -> list[SceneRef]:
    """The scenes of a shard."""
    return [
        SceneRef(kind, split, name, Path(path)) for kind, split, name, path in note.found["scenes"]
    ]


def _skipped(note: Note, refs: Sequence[SceneRef]) -> dict[tuple[str, str], SceneResult]:
    """The scenes of a shard that cannot be used."""
    known = {ref.key: ref for ref in refs}
    found = {}
    for entry in note.found["skipped"]:
        split, name = entry["scene"]
        problems = tuple(Problem(*problem) for problem in entry["problems"])
        found[split, name] = SceneResult(known[split, name], problems=problems, skipped=True)
    return found
