"""Writes one imported scene: images, masks and last ``scene.json``; renamed into place when complete."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from x3spatial.arrays import Float64, UInt8
from x3spatial.importers.camera import Camera
from x3spatial.importers.choice import Choice
from x3spatial.importers.plan import FrameFacts, Plan
from x3spatial.importers.scene import Frame, Problem, Scene
from x3spatial.inpainting import Engine, ImageName, InpaintingError
from x3spatial.io.files import empty_dir
from x3spatial.io.images import ImageError, encode_png, resize_rgb
from x3spatial.io.orientation import without_orientation
from x3spatial.roots.scene_file import FORMAT, write_scene_file
from x3spatial.roots.writer import EncodedView, dilate, margin_of, write_label, write_view

MADE_BY = "x3 import"
CONVENTIONS = {
    "units": "metres if metric, else the unit of the source",
    "world": "that of the source, right-handed",
    "camera": "x right, y down, z forward; camera_to_world is row-major, x_world = M x_camera",
    "image": "pixel (i, j) covers [i, i + 1) x [j, j + 1); (cx, cy) in the same coordinates",
    "box": "axis-aligned in the world: least corner, greatest corner",
}


def write_scene(
    scene: Scene,
    plan: Plan,
    folder: Path,
    settings: Mapping[str, Any],
    engine: Engine | None,
) -> dict[str, Any]:
    """Write a scene into the split's folder ``folder`` and return the contents of its ``scene.json``.

    Args:
        scene: the scene.
        plan: its objects and frames.
        folder: of the split; the scene's folder must not exist.
        settings: what ``scene.json`` records of the options.
        engine: makes the inpainted images; None: none are made.

    Raises:
        ImageError: an image that the survey could read cannot be read any more.
    """
    part = folder / f".{scene.name}.part"
    empty_dir(part)
    problems = list(plan.problems)
    try:
        for choice in plan.choices:
            (part / f"uid_{choice.item.uid}").mkdir()
        for facts in plan.frames.values():
            problems += _write_frame(scene, plan, facts, part, engine)
        for choice in plan.choices:
            write_label(part, scene.name, choice.item.uid, choice.label, choice.frames)
        contents = describe(scene, plan, settings, problems)
        write_scene_file(part, contents)
        part.rename(folder / scene.name)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    return contents


def _write_frame(
    scene: Scene, plan: Plan, facts: FrameFacts, part: Path, engine: Engine | None
) -> list[Problem]:
    """Write the views of all objects in one frame; returns the problems of inpainting."""
    problems: list[Problem] = []
    image = resize_rgb(facts.frame.read(), *facts.size)
    original = _encoded(facts, image)
    name = facts.frame.name
    for choice in plan.choices:
        if name not in choice.frames:
            continue
        rank = choice.frames.index(name) + 1
        mask = facts.instances.mask(choice.item.uid)
        inpainted: bytes | None = original
        if mask.any():
            where = ImageName(scene.split, scene.name, choice.item.uid, f"{rank:02d}", name)
            inpainted = None
            hole = dilate(mask, margin_of(mask.shape[1]))
            try:
                if engine is not None and hole.all():
                    raise InpaintingError(where.path, "the mask leaves nothing of the image")
                if engine is not None:
                    inpainted = encode_png(engine.fill(image, hole, where))
            except InpaintingError as error:
                problems.append(Problem(str(error.path), f"not inpainted: {error.reason}"))
        elif engine is None:
            inpainted = None
        view = EncodedView(original, mask, inpainted)
        write_view(part / f"uid_{choice.item.uid}", rank, name, view)
    return problems


def _encoded(facts: FrameFacts, image: UInt8) -> bytes:
    """The image's file: the source's own where its stored pixels are written as they are, else a PNG."""
    if facts.size == facts.frame.size and facts.frame.encoded is not None:
        data = facts.frame.encoded()
        if data is not None:
            try:
                kept, _ = without_orientation(data, "")
            except ImageError:
                return encode_png(image)
            if kept.startswith((b"\xff\xd8", b"\x89PNG")):
                return kept
    return encode_png(image)


def describe(
    scene: Scene, plan: Plan, settings: Mapping[str, Any], problems: list[Problem]
) -> dict[str, Any]:
    """The contents of ``scene.json``."""
    chosen = {choice.item.uid: choice for choice in plan.choices}
    contents: dict[str, Any] = {
        "format": FORMAT,
        "made_by": MADE_BY,
        "scene": scene.name,
        "split": scene.split,
        "settings": dict(settings),
        "conventions": CONVENTIONS,
        "metric": scene.metric,
        **scene.facts,
    }
    if scene.place is not None:
        contents["place"] = scene.place
    contents["frames"] = {name: _frame(facts) for name, facts in plan.frames.items()}
    contents["objects"] = [
        {
            "uid": item.uid,
            "label": chosen[item.uid].label if item.uid in chosen else item.label,
            "kind": item.kind or item.label,
            "box": None if item.box is None else np.round(item.box, 6).tolist(),
            "views": _views(chosen[item.uid], plan) if item.uid in chosen else None,
        }
        for item in scene.objects
    ]
    contents["pixels"] = {
        name: dict(sorted(facts.instances.pixels().items())) for name, facts in plan.frames.items()
    }
    contents["visibility"] = {
        uid: {name: facts.sights[uid].to_json() for name, facts in plan.frames.items()}
        for uid in chosen
    }
    contents["overlap"] = _overlaps(scene, plan, list(chosen))
    sizes = {name: facts.size for name, facts in plan.frames.items()}
    frames = [facts.frame for facts in plan.frames.values()]
    contents |= scene.more_facts(frames, lambda frame: sizes[frame.name])
    contents["left_out"] = dict(plan.left_out)
    contents["problems"] = [problem._asdict() for problem in problems]
    return contents


def _frame(facts: FrameFacts) -> dict[str, Any]:
    frame = facts.frame
    camera = None if frame.camera is None else frame.camera.at_size(*facts.size)
    return {
        "source": frame.source,
        "camera_to_world": None if camera is None else np.round(camera.camera_to_world, 9).tolist(),
        "intrinsics": None if camera is None else _intrinsics(camera),
        "size": list(facts.size),
        "sharpness": round(facts.sharpness, 2),
    }


def _intrinsics(camera: Camera) -> dict[str, Any]:
    found: dict[str, Any] = {
        "width": camera.width,
        "height": camera.height,
        **{key: round(getattr(camera, key), 6) for key in ("fx", "fy", "cx", "cy")},
    }
    if camera.distortion:
        found["distortion"] = list(camera.distortion)
    return found


def _views(choice: Choice, plan: Plan) -> list[dict[str, Any]]:
    return [
        {"rank": rank, "frame": name, **plan.frames[name].sights[choice.item.uid].to_json()}
        for rank, name in enumerate(choice.frames, start=1)
    ]


def _overlaps(scene: Scene, plan: Plan, uids: list[str]) -> dict[str, dict[str, dict[str, float]]]:
    """uid → frame A → frame B → share of the object's surface points seen in A that B's frame holds."""
    found: dict[str, dict[str, dict[str, float]]] = {uid: {} for uid in uids}
    for name, facts in plan.frames.items():
        for uid in uids:
            points = scene.seen_points(facts.frame, facts.size, facts.instances, uid)
            known = points is not None and len(points) > 0
            found[uid][name] = {
                other: _share_inside(there.frame, points)
                for other, there in plan.frames.items()
                if known and other != name and there.frame.camera is not None
            }
    return found


def _share_inside(frame: Frame, points: Float64 | None) -> float:
    assert frame.camera is not None and points is not None
    return round(float(frame.camera.inside(*frame.camera.project(points)).mean()), 4)
