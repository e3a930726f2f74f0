"""Moves the scenes of all shards into the root."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from typing import Any

from x3spatial.engine.registry import open_engine
from x3spatial.engine.shard_sets import ShardSet
from x3spatial.io.files import make_dir
from x3spatial.io.locks import lock_dir
from x3spatial.synth.options import SceneOptions, scene_name
from x3spatial.synth.scenes_root import (
    SceneSummary,
    check_origin,
    check_root,
    is_complete,
    read_scene,
    render_into,
    scenes_of,
)

_OPTION = "--out"
_CURE = "choose another folder"


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
        with open_engine("local") as engine:  # every scene is there: it only counts
            summary = render_into(out, everything, options, engine, workers)
    made = sum(int(note.found["made"]) for note in shards.notes)
    return replace(summary, made=made)
