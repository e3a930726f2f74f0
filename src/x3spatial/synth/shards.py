"""Shards of ``x3 scenes``: each makes its scenes in a folder of its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from x3spatial.engine.base import Engine
from x3spatial.engine.shard_notes import open_shard
from x3spatial.engine.shards import Shard
from x3spatial.synth.options import SceneOptions
from x3spatial.synth.scenes_root import (
    OTHER_FOLDER,
    SceneSummary,
    check_origin,
    check_root,
    is_complete,
    read_scene,
    render_into,
    scenes_of,
)

KIND = "scenes"


def render_shard(
    shard: Shard,
    out_dir: Path,
    scenes: Mapping[str, int],
    options: SceneOptions,
    engine: Engine,
    workers: int | None,
    *,
    fresh: bool,
) -> SceneSummary:
    """Make the scenes of one shard that are complete neither in it nor in ``out_dir``.

    Raises:
        UserError: see ``render_scenes`` and ``open_shard``.
    """
    check_origin(out_dir)
    check_root(out_dir, options, scenes, OTHER_FOLDER)
    everything = scenes_of(scenes)
    left = {one for one in everything if fresh or not is_complete(read_scene(out_dir, *one))}
    if not left:  # merged already
        return render_into(out_dir, everything, options, engine, workers)
    identity = {"scenes": dict(scenes), "settings": options.to_json()}
    with open_shard(shard, out_dir, KIND, identity, fresh=fresh) as part:
        mine = shard.of(everything)
        todo = [one for one in mine if one in left]
        summary = render_into(part.folder, todo, options, engine, workers)
        part.finish(len(mine), {"made": len(todo)})
    return summary
