"""``x3 scenes``: renders synthetic rooms into a data root, in parallel processes.

This module is cheap to import: it loads numpy and the ray tracer with the first scene.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from x3spatial.engine.base import Engine
from x3spatial.engine.registry import open_engine
from x3spatial.engine.shards import Shard, parse_shard
from x3spatial.errors import UserError
from x3spatial.io.files import make_dir
from x3spatial.io.locks import lock_dir
from x3spatial.synth.options import FAST, FULL, SCENES, SceneOptions, check_options
from x3spatial.synth.scenes_root import (
    SceneSummary,
    check_origin,
    check_root,
    render_into,
    scene_folders,
    scenes_of,
)
from x3spatial.synth.shards import render_shard

_OPTION = "--out"


def scene_options(
    scenes: dict[str, int],
    *,
    objects: int,
    views: int,
    width: int | None,
    height: int | None,
    samples: int | None,
    seed: int,
    depth: bool,
    style: str,
    fast: bool,
) -> SceneOptions:
    """The checked options of ``render_scenes``, with the defaults of ``fast`` and the installed tracer.

    Raises:
        UserError: an option is out of range, or no ray tracer is installed (the extra ``render``).
    """
    from x3spatial.raycast.tracer import backend

    usual = FAST if fast else FULL
    options = SceneOptions(
        objects=objects,
        views=views,
        width=usual["width"] if width is None else width,
        height=usual["height"] if height is None else height,
        samples=usual["samples"] if samples is None else samples,
        seed=seed,
        depth=depth,
        tracer=backend("x3 scenes"),
        style=style,
    )
    check_options(options, scenes)
    return options


def render_scenes(
    out_dir: str | Path,
    scenes: Mapping[str, int] = SCENES,
    *,
    objects: int = 4,
    views: int = 5,
    width: int | None = None,
    height: int | None = None,
    samples: int | None = None,
    seed: int = 0,
    depth: bool = False,
    style: str = "day",
    workers: int | None = None,
    engine: str | Engine = "local",
    ray_address: str | None = None,
    fast: bool = False,
    fresh: bool = False,
    shard: str | Shard | None = None,
) -> SceneSummary:
    """Render synthetic rooms into the data root ``out_dir``.

    Complete scenes of an earlier run with the same settings are kept; incomplete ones are made again.
    The bytes depend on the settings only, not on ``workers`` or interruptions.

    Args:
        out_dir: the data root to write.
        scenes: number of scenes per split, by the split's folder name (train, validation, ...).
        objects: target objects per scene; each gets its own views.
        views: views per object; of three or more, one or two do not show the object.
        width: image width in pixels; None for 640 (112 with ``fast``).
        height: image height in pixels; None for 480 (112 with ``fast``).
        samples: samples per pixel, a square number; None for 4 (1 with ``fast``).
        seed: random seed of the rooms.
        depth: also write ``{NN}_{frame}_depth.png``.
        style: ``day``, or ``night``: the same rooms in the image style of a night camera.
        workers: processes; None for one per usable CPU.
        engine: a name in ``engine.registry.ENGINES``, or an engine that is open.
        ray_address: for ``ray``: the cluster to join; None to start Ray on this machine.
        fast: smaller default images with fewer samples, for training.
        fresh: delete the scenes of earlier runs in ``out_dir`` first; with ``shard`` those of this shard.
        shard: make only every Nth scene, ``K/N``, for ``x3spatial.merge``; None for all.

    Returns:
        What ``out_dir`` holds now, or the shard.

    Raises:
        UserError: an option is out of range, ``out_dir`` cannot be written or holds other scenes, or no
            ray tracer is installed (the extra ``render``).
        UnitsFailed: a scene could not be rendered; all others are done.
    """
    out_dir = Path(out_dir)
    scenes = {split: count for split, count in scenes.items() if count}
    options = scene_options(
        scenes, objects=objects, views=views, width=width, height=height, samples=samples, seed=seed,
        depth=depth, style=style, fast=fast,
    )  # fmt: skip
    if workers is not None and workers < 1:
        raise UserError(f"--workers {workers}: must be at least 1")
    part = parse_shard(shard)
    if part is not None:
        with open_engine(engine, ray_address) as opened:
            return render_shard(part, out_dir, scenes, options, opened, workers, fresh=fresh)
    make_dir(out_dir, _OPTION)
    with lock_dir(out_dir, _OPTION):
        check_origin(out_dir)
        if fresh:
            for scene in scene_folders(out_dir):
                shutil.rmtree(scene)
        check_root(out_dir, options, scenes)
        with open_engine(engine, ray_address) as opened:
            return render_into(out_dir, scenes_of(scenes), options, opened, workers)
