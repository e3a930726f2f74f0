"""Plans one scene before rendering: the room, its cameras and the views of each object."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

from x3spatial.errors import UserError
from x3spatial.synth import visibility
from x3spatial.synth.options import SceneOptions
from x3spatial.synth.rendering.camera import Camera
from x3spatial.synth.rendering.counterfactual import remove
from x3spatial.synth.rendering.denoise import final_image, radiance
from x3spatial.synth.rendering.geometry import assemble
from x3spatial.synth.rendering.render import World, make_world, render
from x3spatial.synth.viewpoints import Choice, Chooser, candidates
from x3spatial.synth.world.layout import Layout, make_layout

_EXPOSURE_CAMERAS = 10  # candidate cameras that the exposure is measured with
_ATTEMPTS = 40  # rooms tried until one has views for every requested object
# Removing an object must change at least this share of its pixels by more than this many of 255 levels.
_MIN_CHANGE, _MIN_CHANGED_SHARE = 24, 0.5
_MIDDLE_GREY = 0.42  # mean exposed brightness of a scene


@dataclass(frozen=True)
class Plan:
    """Everything that rendering a scene needs. ``cameras`` are those in use, by candidate number."""

    layout: Layout
    world: World
    cameras: dict[int, Camera]
    choices: tuple[Choice, ...]
    rests: dict[int, World]  # the world without each target
    exposure: float
    attempt: int


def downscaled(camera: Camera, width: int) -> Camera:
    """Return the same view in ``width`` pixels, with the same aspect ratio."""
    height = max(8, round(width * camera.height / camera.width))
    return Camera(
        camera.position, camera.rotation, camera.focal * width / camera.width, width, height
    )


def _exposure(world: World, cameras: list[Camera]) -> float:
    """Return one exposure for all images of a scene, with and without its objects."""
    logs = []
    for camera in cameras:
        small = downscaled(camera, 48)
        light = radiance(render(world, small, 1), small.height, small.width, 1)
        logs.append(np.log(light.mean(axis=2) + 0.01))
    return float(np.round(_MIDDLE_GREY / np.exp(np.mean(np.concatenate(logs))), 6))


class _RemovalCheck:
    """Checks that removing an object visibly changes a view; a white clock on a white wall fails."""

    def __init__(self, world: World, cameras: list[Camera], exposure: float) -> None:
        self.world, self.cameras, self.exposure = world, cameras, exposure
        self.rests: dict[int, World] = {}

    def __call__(self, uid: int, number: int) -> bool:
        """Check object ``uid`` in candidate camera ``number``, on a downscaled image."""
        small = downscaled(self.cameras[number], 96)
        where = visibility.mask(self.world.geometry, uid, small)
        if not where.any():
            return True
        if uid not in self.rests:
            self.rests[uid] = self.world.without(uid)
        gbuffer = render(self.world, small, 1)
        before = final_image(gbuffer, small.height, small.width, 1, self.exposure)
        after = remove(gbuffer, before, uid, self.rests[uid], small, 1, self.exposure)
        change = np.abs(before[where].astype(int) - after[where]).max(axis=1)
        return float(np.mean(change > _MIN_CHANGE)) >= _MIN_CHANGED_SHARE


def make_plan(split: str, index: int, options: SceneOptions) -> Plan:
    """Plan scene ``index`` of a split; the result depends on the arguments only.

    Raises:
        UserError: no room with that many objects and views was found.
    """
    stream = zlib.crc32(("validation" if split == "val" else split).encode())
    for attempt in range(_ATTEMPTS):
        rng = np.random.default_rng([options.seed, stream, index, attempt])
        layout = make_layout(rng, options.objects)
        if len(layout.targets) < options.objects:
            continue
        geometry = assemble(layout, options.tracer)
        cameras = candidates(layout, geometry, options.width, options.height, rng)
        if len(cameras) < _EXPOSURE_CAMERAS:
            continue
        world = make_world(layout, geometry)
        exposure = _exposure(world, cameras[:_EXPOSURE_CAMERAS])
        removal_check = _RemovalCheck(world, cameras, exposure)
        chooser = Chooser(
            geometry, layout, cameras, options.views, options.side, rng, accept=removal_check
        )
        choices: list[Choice] = []
        for k, uid in enumerate(layout.targets):
            if len(choices) + len(layout.targets) - k < options.objects:
                break  # too few candidates are left
            choice = chooser.choose(uid)
            if choice is not None:
                choices.append(choice)
            if len(choices) == options.objects:
                break
        if len(choices) < options.objects:
            continue
        choices = chooser.save_cameras(choices)
        used = sorted({view.camera for choice in choices for view in choice.views})
        chosen = {number: cameras[number] for number in used}
        choices.sort(key=lambda choice: choice.uid)
        rests = {
            choice.uid: removal_check.rests.get(choice.uid) or world.without(choice.uid)
            for choice in choices
        }
        return Plan(layout, world, chosen, tuple(choices), rests, exposure, attempt)
    raise UserError(
        f"--objects {options.objects} --views {options.views}: cannot place that many objects"
        " with that many views; use fewer"
    )
