"""Writes one scene: images, masks, depth, and last ``scene.json``, which marks it complete."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from x3spatial.arrays import UInt16
from x3spatial.errors import UserError
from x3spatial.io.files import read_json
from x3spatial.io.images import encode_depth_png, encode_png
from x3spatial.roots.scene_file import FORMAT, SCENE_FILE, write_scene_file
from x3spatial.roots.writer import EncodedView, write_label, write_view
from x3spatial.synth.options import SceneOptions, scene_name
from x3spatial.synth.plan import Plan, make_plan
from x3spatial.synth.rendering.camera import Camera
from x3spatial.synth.rendering.counterfactual import remove
from x3spatial.synth.rendering.denoise import final_image
from x3spatial.synth.rendering.geometry import Geometry
from x3spatial.synth.rendering.render import render
from x3spatial.synth.rendering.styles import apply_style
from x3spatial.synth.sightings import sightings
from x3spatial.synth.visibility import first_hits

CONVENTIONS = {
    "units": "metres",
    "world": "right-handed, z up, the floor at z = 0, the room from (0, 0, 0) to room.size",
    "camera": "x right, y down, z forward; camera_to_world is row-major, x_world = M x_camera",
    "image": "pixel (i, j) covers [i, i + 1) x [j, j + 1); (cx, cy) in the same coordinates",
    "depth": "16-bit PNG, millimetres along the camera's z at pixel centres, 0: none",
    "box": "axis-aligned in the world: least corner, greatest corner",
}


@dataclass(frozen=True)
class SceneJob:
    """One scene to make; picklable. ``folder`` is the split's folder.

    ``rendered``: the images are there, and only ``scene.json`` lacks what its present format holds.
    """

    split: str
    index: int
    folder: Path
    options: SceneOptions
    rendered: bool = False


@dataclass(frozen=True)
class SceneCounts:
    """Counts of one scene. ``absent`` counts the views without their object by reason."""

    objects: int
    views: int
    cameras: int
    absent: dict[str, int]
    completed: bool = False
    """Whether only ``scene.json`` was written."""


def frame_name(camera: int) -> str:
    """Return the six digits that name a camera in file names."""
    return f"{10 * (camera + 1):06d}"


def depth_map(geometry: Geometry, camera: Camera) -> UInt16:
    """Return depth along the optical axis at pixel centres in millimetres, uint16 [H, W]; 0: no hit."""
    rays = camera.pixel_rays()
    hits = first_hits(geometry, camera, rays)
    axis = camera.rotation[2].astype(np.float32)
    along = rays[:, 0] * axis[0] + rays[:, 1] * axis[1] + rays[:, 2] * axis[2]
    millimetres = np.where(hits.triangle >= 0, hits.distance * along * 1000, 0)
    flat = np.clip(np.round(millimetres), 0, 65535).astype(np.uint16)
    return flat.reshape(camera.height, camera.width)


def describe(job: SceneJob, plan: Plan) -> dict[str, Any]:
    """Return the contents of ``scene.json``."""
    options, first = job.options, next(iter(plan.cameras.values()))
    views = {
        choice.uid: [
            {
                "rank": rank,
                "frame": frame_name(view.camera),
                **view.facts(),
            }
            for rank, view in enumerate(choice.views, start=1)
        ]
        for choice in plan.choices
    }
    room = plan.layout.room
    cameras = {frame_name(number): camera for number, camera in plan.cameras.items()}
    targets = [choice.uid for choice in plan.choices]
    return {
        "format": FORMAT,
        "scene": scene_name(job.split, job.index),
        "split": job.split,
        "settings": options.to_json(),
        "attempt": plan.attempt,
        "conventions": CONVENTIONS,
        "room": {"size": [round(v, 6) for v in (room.width, room.depth, room.height)]},
        "exposure": plan.exposure,
        "intrinsics": {
            "width": options.width,
            "height": options.height,
            "fx": first.focal,
            "fy": first.focal,
            "cx": first.centre[0],
            "cy": first.centre[1],
        },
        "frames": {
            frame_name(number): {"camera_to_world": camera.pose().tolist()}
            for number, camera in plan.cameras.items()
        },
        "objects": [
            {
                "uid": item.uid,
                "label": item.label,
                "kind": item.kind.name,
                "colour": item.colour,
                "box": np.round(item.box, 6).tolist(),
                "stands_on": item.carrier,
                "views": views.get(item.uid),
            }
            for item in plan.layout.objects
        ],
        **sightings(plan.world.geometry, targets, cameras, options.side),
    }


def _write_camera(job: SceneJob, plan: Plan, number: int) -> None:
    """Render camera ``number`` once and write the views of every object that uses it."""
    options, camera = job.options, plan.cameras[number]
    gbuffer = render(plan.world, camera, options.side)
    original = final_image(gbuffer, camera.height, camera.width, options.side, plan.exposure)
    original_png = encode_png(apply_style(original, options.style))
    depth_png = None
    if options.depth:
        depth_png = encode_depth_png(depth_map(plan.world.geometry, camera))
    scene = job.folder / scene_name(job.split, job.index)
    for choice in plan.choices:
        for rank, view in enumerate(choice.views, start=1):
            if view.camera != number:
                continue
            folder = scene / f"uid_{choice.uid}"
            # An object out of sight is not removed, even if its shadow is visible.
            inpainted_png = original_png
            if view.mask.any():
                without = remove(
                    gbuffer, original, choice.uid, plan.rests[choice.uid], camera, options.side,
                    plan.exposure,
                )  # fmt: skip
                inpainted_png = encode_png(apply_style(without, options.style))
            seen = EncodedView(original_png, view.mask, inpainted_png, depth_png)
            write_view(folder, rank, frame_name(number), seen)


def write_scene(job: SceneJob) -> SceneCounts:
    """Plan, render and write one scene; an incomplete one is replaced.

    Raises:
        UserError: the images are there, but another version of the renderer made them.
    """
    name = scene_name(job.split, job.index)
    scene = job.folder / name
    if job.rendered:
        return complete_scene(job, scene)
    if scene.exists():
        shutil.rmtree(scene)  # left by an interrupted run
    plan = make_plan(job.split, job.index, job.options)
    for choice in plan.choices:
        (scene / f"uid_{choice.uid}").mkdir(parents=True)
    for number in plan.cameras:
        _write_camera(job, plan, number)
    contents = describe(job, plan)
    for entry in contents["objects"]:
        if entry["views"] is not None:
            frames = [view["frame"] for view in entry["views"]]
            write_label(scene, name, entry["uid"], entry["label"], frames)
    write_scene_file(scene, contents)
    return count(contents)


def complete_scene(job: SceneJob, scene: Path) -> SceneCounts:
    """Write ``scene.json`` of a rendered scene again, with the keys that an older format lacks.

    Raises:
        UserError: the older file describes another room; another version of the renderer made it.
    """
    written = read_json(scene / SCENE_FILE)
    contents = describe(job, make_plan(job.split, job.index, job.options))
    same = json.loads(json.dumps({key: contents.get(key) for key in written if key != "format"}))
    if same != {key: value for key, value in written.items() if key != "format"}:
        raise UserError(
            f"{scene / SCENE_FILE}: describes a room of another version of x3 scenes, which cannot be"
            " completed; add --fresh, or use the folder as it is"
        )
    write_scene_file(scene, contents)
    return replace(count(contents), completed=True)


def count(contents: dict[str, Any]) -> SceneCounts:
    """Return the counts of a scene from the contents of its ``scene.json``."""
    targets = [entry["views"] for entry in contents["objects"] if entry["views"] is not None]
    reasons = [view["absent_by"] for views in targets for view in views if view["absent_by"]]
    return SceneCounts(
        objects=len(targets),
        views=sum(len(views) for views in targets),
        cameras=len(contents["frames"]),
        absent={reason: reasons.count(reason) for reason in sorted(set(reasons))},
    )
