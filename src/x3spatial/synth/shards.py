"""Shards of ``x3 scenes``: each makes its scenes in a folder of its own; merging moves them into the root."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from x3spatial.engine.shard_notes import open_shard
from x3spatial.engine.shard_sets import ShardSet
from x3spatial.engine.shards import Shard
from x3spatial.io.files import make_dir
from x3spatial.io.locks import lock_dir
from x3spatial.synth.generate import (
    SceneSummary,
    check_origin,
    check_root,
    is_complete,
    read_scene,
    render_into,
    scenes_of,
)
from x3spatial.synth.options import SceneOptions, scene_name

KIND = "scenes"
_OPTION = "--out"
_CURE = "choose another folder"


def render_shard(
    shard: Shard,
    out_dir: Path,
    scenes: Mapping[str, int],
    options: SceneOptions,
    workers: int,
    *,
    fresh: bool,
) -> SceneSummary:
    """Make the scenes of one shard that are complete neither in it nor in ``out_dir``.

    Raises:
        UserError: see ``render_scenes`` and ``open_shard``.
    """
    check_origin(out_dir)
    check_root(out_dir, options, dict(scenes), _CURE)
    everything = scenes_of(scenes)
    left = [one for one in everything if fresh or not is_complete(read_scene(out_dir, *one))]
    if not left:  # merged already
        return render_into(out_dir, everything, options, workers)
    mine = set(left)
    identity = {"scenes": dict(scenes), "settings": options.to_json()}
    with open_shard(shard, out_dir, KIND, identity, fresh=fresh, option=_OPTION) as part:
        todo = [one for one in shard.of(everything) if one in mine]
        summary = render_into(part.folder, todo, options, workers)
        part.finish(len(shard.of(everything)), {"made": len(todo)})
    return summary


def merge(shards: ShardSet, workers: int) -> SceneSummary:
    """Move the scenes of all shards into the root.

    Raises:
        UserError: a scene is missing.
    """
    scenes: dict[str, int] = dict(shards.identity["scenes"])
    settings: dict[str, Any] = dict(shards.identity["settings"])
    del settings["version"]
    options = SceneOptions(**settings)
    everything = scenes_of(scenes)
    out = shards.out
    with lock_dir(out, _OPTION):
        check_origin(out)
        check_root(out, options, scenes, _CURE)
        for place, scene in enumerate(everything):
            note = shards.notes[place % shards.n]
            if not any(is_complete(read_scene(root, *scene)) for root in (out, note.folder)):
                raise shards.refusal(note, f"{scene_name(*scene)} is not there")
        for place, (split, index) in enumerate(everything):
            if is_complete(read_scene(out, split, index)):
                continue
            target = out / split / scene_name(split, index)
            make_dir(target.parent, _OPTION)
            if target.exists():
                shutil.rmtree(target)  # left by an interrupted run
            folder = shards.notes[place % shards.n].folder
            os.replace(folder / split / scene_name(split, index), target)
        summary = render_into(out, everything, options, workers)
    made = sum(int(note.found["made"]) for note in shards.notes)
    return replace(summary, made=made)
