"""More than 5,000 negatives within rendered rooms: rays cast at every sample of every image hit none of them.

The same rays must hit each object in its reference view, so the test cannot pass because uids, frames or
rooms were mixed up.
"""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("numba")

from x3spatial.builder.options import BuildOptions
from x3spatial.builder.run import build_tasks
from x3spatial.formats.task_file import read_records
from x3spatial.synth.generate import render_scenes
from x3spatial.synth.options import SceneOptions
from x3spatial.synth.plan import make_plan
from x3spatial.synth.writer import frame_name

ROOMS, SIZE, SIDE = 80, 64, 2


@pytest.mark.slow
def test_no_ray_hits_an_absent_object(tmp_path: Path) -> None:
    root = tmp_path / "rooms"
    render_scenes(root, {"validation": ROOMS}, width=SIZE, height=SIZE, samples=SIDE**2, seed=11)
    options = BuildOptions(
        tasks=("t1_negatives",), mode="allpairs", emit_concat=False,
        negatives="framing=1000,occlusion=1000,both=1000,other_scene=1.5",
    )  # fmt: skip
    build_tasks(root, tmp_path / "tasks", options)
    records = read_records(tmp_path / "tasks" / "t1_val_negatives.json")
    shown = {(r.images[1].split("/")[-3], r.query_frame) for r in records}
    owners: dict[tuple[str, str], set[int]] = {}
    steps = (np.arange(SIZE * SIDE) + 0.5) / SIDE
    x, y = (grid.reshape(-1) for grid in np.meshgrid(steps, steps))
    for index, path in enumerate(sorted(root.glob("validation/*/scene.json"))):
        settings = json.loads(path.read_text())["settings"]
        known = {field.name for field in fields(SceneOptions)}
        given = SceneOptions(**{name: settings[name] for name in known & set(settings)})
        plan = make_plan("validation", index, given)
        geometry = plan.world.geometry
        for number, camera in plan.cameras.items():
            rays = camera.rays(x, y)
            origins = np.repeat(camera.position.astype(np.float32)[None], len(rays), axis=0)
            hits = geometry.tracer.first_hit(origins, rays, np.full(len(rays), 1e4, np.float32))
            found = np.where(hits.triangle >= 0, geometry.owner[hits.triangle], 0)
            owners[path.parent.name, frame_name(number)] = set(np.unique(found).tolist())
    assert shown <= set(owners)
    frames: dict[str | None, list[str]] = {}
    for room, frame in owners:
        frames.setdefault(room, []).append(frame)
    within = [record for record in records if record.absence != "other_scene"]
    assert len(within) >= 5000
    wrong = []
    for record in records:
        a, b, uid = str(record.scene), record.images[1].split("/")[-3], int(record.uid or 0)
        assert uid in owners[a, str(record.ref_frame)], record.id
        assert (a != b) == (record.absence == "other_scene") and record.verified == "geometry"
        if a == b and uid in owners[b, str(record.query_frame)]:
            wrong.append(record.id)
    assert not wrong
    # Most views of a room show most of its objects: chosen without looking, many would be wrong.
    seen = [
        int(r.uid or 0) in owners[str(r.scene), frame] for r in within for frame in frames[r.scene]
    ]
    assert np.mean(seen) > 0.2
