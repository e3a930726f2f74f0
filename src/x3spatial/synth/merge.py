"""Moves the scenes of all shards into the root."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from x3spatial.engine.registry import open_engine
from x3spatial.engine.shard_sets import ShardSet
from x3spatial.io.files import make_dir
from x3spatial.io.locks import lock_dir
from x3spatial.synth.options import SceneOptions, scene_name
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

_OPTION = "--out"


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
        check_root(out, options, scenes, OTHER_FOLDER)
        to_move: list[tuple[Path, Path]] = []
        for place, (split, index) in enumerate(everything):
            if is_complete(read_scene(out, split, index)):
                continue
            note = shards.notes[place % shards.n]
            name = scene_name(split, index)
            if not is_complete(read_scene(note.folder, split, index)):
                raise shards.refusal(note, f"{name} is not there")
            to_move.append((note.folder / split / name, out / split / name))
        for source, target in to_move:
            make_dir(target.parent, _OPTION)
            if target.exists():
                shutil.rmtree(target)  # left by an interrupted run
            os.replace(source, target)
        with open_engine("local") as engine:  # every scene is there: it only counts
            summary = render_into(out, everything, options, engine, workers)
    made = sum(int(note.found["made"]) for note in shards.notes)
    return replace(summary, made=made)
