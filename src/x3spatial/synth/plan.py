"""One scene before it is rendered: the room, its cameras, and what each object's views are."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

from x3spatial.errors import UserError
from x3spatial.synth import visibility
from x3spatial.synth.options import SceneOptions
from x3spatial.synth.rendering.camera import Camera
from x3spatial.synth.rendering.counterfactual import remove
from x3spatial.synth.rendering.denoise import picture, radiance
from x3spatial.synth.rendering.geometry import assemble
from x3spatial.synth.rendering.render import World, make_world, render
from x3spatial.synth.viewpoints import Choice, Chooser, candidates
from x3spatial.synth.world.layout import Layout, make_layout

_METERED = 10  # candidate cameras from which the exposure is taken
_ATTEMPTS = 40  # rooms tried until one has views for every object asked for
_VISIBLE, _SHARE = 24, 0.5  # of 255; of an object's pixels
_MIDDLE_GREY = 0.42  # exposed brightness of a scene on average


@dataclass(frozen=True)
class Plan:
    """All that rendering needs. ``cameras`` are those in use, by their candidate's number."""

    layout: Layout
    world: World
    cameras: dict[int, Camera]
    choices: tuple[Choice, ...]
    rests: dict[int, World]  # the world without each target
    exposure: float
    attempt: int


def _small(camera: Camera, width: int) -> Camera:
    """The same view in fewer pixels."""
    height = max(8, round(width * camera.height / camera.width))
    return Camera(camera.eye, camera.turn, camera.focal * width / camera.width, width, height)


def _exposure(world: World, cameras: list[Camera]) -> float:
    """One exposure for all pictures of a scene, with and without its objects."""
    logs = []
    for camera in cameras:
        small = _small(camera, 48)
        light = radiance(render(world, small, 1), small.height, small.width, 1)
        logs.append(np.log(light.mean(axis=2) + 0.01))
    return float(np.round(_MIDDLE_GREY / np.exp(np.mean(np.concatenate(logs))), 6))


class _StandsOut:
    """Whether taking an object away can be seen: not a white clock on a white wall."""

    def __init__(self, world: World, cameras: list[Camera], exposure: float) -> None:
        self.world, self.cameras, self.exposure = world, cameras, exposure
        self.rests: dict[int, World] = {}

    def __call__(self, uid: int, number: int) -> bool:
        """The answer for object ``uid`` and candidate camera ``number``, from a small picture."""
        small = _small(self.cameras[number], 96)
        where = visibility.mask(self.world.geometry, uid, small)
        if not where.any():
            return True
        if uid not in self.rests:
            self.rests[uid] = self.world.without(uid)
        layers = render(self.world, small, 1)
        before = picture(layers, small.height, small.width, 1, self.exposure)
        after = remove(layers, before, uid, self.rests[uid], small, 1, self.exposure)
        change = np.abs(before[where].astype(int) - after[where]).max(axis=1)
        return float(np.mean(change > _VISIBLE)) >= _SHARE


def make_plan(split: str, index: int, options: SceneOptions) -> Plan:
    """Scene ``index`` of a split: the same for the same options, wherever it is computed.

    Raises:
        UserError: no room with that many objects was found.
    """
    stream = zlib.crc32(("validation" if split == "val" else split).encode())
    for attempt in range(_ATTEMPTS):
        rng = np.random.default_rng([options.seed, stream, index, attempt])
        layout = make_layout(rng, options.objects)
        if len(layout.targets) < options.objects:
            continue
        geometry = assemble(layout, options.tracer)
        cameras = candidates(layout, geometry, options.width, options.height, rng)
        if len(cameras) < _METERED:
            continue
        world = make_world(layout, geometry)
        exposure = _exposure(world, cameras[:_METERED])
        stands_out = _StandsOut(world, cameras, exposure)
        chooser = Chooser(
            geometry, layout, cameras, options.views, options.side, rng, accept=stands_out
        )
        choices: list[Choice] = []
        for k, uid in enumerate(layout.targets):
            if len(choices) + len(layout.targets) - k < options.objects:
                break  # too few are left
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
            choice.uid: stands_out.rests.get(choice.uid) or world.without(choice.uid)
            for choice in choices
        }
        return Plan(layout, world, chosen, tuple(choices), rests, exposure, attempt)
    raise UserError(
        f"--objects {options.objects} --views {options.views}: no room was found in which so many"
        " objects have such views; ask for fewer"
    )
