"""Shards of ``x3 import``: each imports its scenes into its own folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from x3spatial.engine.shard_notes import open_shard
from x3spatial.engine.shards import Shard
from x3spatial.importers.registry import SceneRef
from x3spatial.importers.results import SceneResult, kept_scenes
from x3spatial.importers.scene import Problem

KIND = "import"


def import_shard(
    shard: Shard,
    out_dir: Path,
    identity: Mapping[str, Any],
    refs: Sequence[SceneRef],
    problems: Sequence[Problem],
    fill: Callable[[Path, list[SceneResult]], list[SceneResult]],
    *,
    fresh: bool,
) -> list[SceneResult]:
    """Import the scenes of one shard that are complete neither in it nor in ``out_dir``.

    Args:
        shard: which one.
        out_dir: the data root.
        identity: what must be the same in all shards; its ``settings`` are those of ``scene.json``.
        refs: the scenes of this shard.
        problems: what in the source cannot be a scene, as far as this shard reports it.
        fill: imports those of the shard's scenes that are not kept into a root.
        fresh: import the scenes of an earlier run of this shard again.

    Raises:
        UserError: see ``open_shard``, or ``out_dir`` holds scenes of the same name that are not of an equal
            import.
    """
    settings = identity["settings"]
    earlier = kept_scenes(out_dir, refs, settings, fresh=False)
    with open_shard(shard, out_dir, KIND, identity, fresh=fresh) as part:
        names = {result.ref.key for result in earlier}
        own = [ref for ref in refs if ref.key not in names]
        results = fill(part.folder, earlier + kept_scenes(part.folder, own, settings, fresh=False))
        found = {
            "scenes": [[ref.kind, ref.split, ref.name, str(ref.path)] for ref in refs],
            "earlier": sorted(map(list, names)),
            "problems": [list(problem) for problem in problems],
            "skipped": [
                {
                    "scene": list(result.ref.key),
                    "problems": [list(problem) for problem in result.problems],
                }
                for result in results
                if result.skipped
            ],
        }
        part.finish(len(refs), found)
    return results
