"""One pass over all frames of a scene: sharpness, a thumbnail, and what each shows of each object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from x3spatial.arrays import Float32, UInt8
from x3spatial.importers.options import ChoiceOptions
from x3spatial.importers.scene import Frame, Instances, Problem, Scene, Size
from x3spatial.importers.sightings import touches_edge
from x3spatial.io.images import ImageError, resize_rgb
from x3spatial.roots.scene_file import Sight

_THUMBNAIL = 32


@dataclass(frozen=True)
class Surveyed:
    """What the survey found in one frame."""

    frame: Frame
    sharpness: float
    """Variance of the Laplacian at the written size."""
    thumbnail: Float32
    """Grey, ``[32, 32]``, 0 to 255."""
    area: int
    """Pixels of the survey's image, to which ``Sight.pixels`` relate."""
    sights: Mapping[str, Sight]
    whole: frozenset[str]
    """Objects whose visible part does not reach the border of the frame."""


@dataclass(frozen=True)
class Survey:
    """All usable frames in order, and what cannot be used."""

    frames: tuple[Surveyed, ...]
    problems: tuple[Problem, ...]
    blurred: int


def written_size(size: Size, options: ChoiceOptions) -> Size:
    """The size at which an image is written."""
    return reduced(size, options.max_side) if options.max_side else size


def reduced(size: Size, longest: int) -> Size:
    """A size with the same aspect ratio whose longest side is at most ``longest``."""
    share = min(1.0, longest / max(size))
    return max(1, round(size[0] * share)), max(1, round(size[1] * share))


def survey(scene: Scene, options: ChoiceOptions, uids: Sequence[str]) -> Survey:
    """Look at every frame of a scene once; blurred frames are left out where the scene may choose."""
    found: list[Surveyed] = []
    problems: list[Problem] = []
    for frame in scene.frames:
        try:
            found.append(_look(scene, frame, options, uids))
        except ImageError as error:
            problems.append(Problem(frame.source, f"frame cannot be used: {error.reason}"))
    if not scene.choose_frames or not found:
        return Survey(tuple(found), tuple(problems), 0)
    least = options.min_sharpness * float(np.median([one.sharpness for one in found]))
    sharp = tuple(one for one in found if one.sharpness >= least)
    return Survey(sharp, tuple(problems), len(found) - len(sharp))


def _look(scene: Scene, frame: Frame, options: ChoiceOptions, uids: Sequence[str]) -> Surveyed:
    size = written_size(frame.size, options)
    image = resize_rgb(frame.read(), *size)
    grey = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)
    small = reduced(size, max(1, round(scene.survey_scale * max(size))))
    instances = scene.instances(frame, small)
    sights = scene.sights(frame, small, instances, uids)
    whole = frozenset(
        uid for uid, sight in sights.items() if sight.pixels and _whole(instances, uid)
    )
    return Surveyed(
        frame, sharpness(grey), thumbnail(grey), small[0] * small[1], dict(sights), whole
    )


def _whole(instances: Instances, uid: str) -> bool:
    return not touches_edge(instances.mask(uid))


def sharpness(grey: UInt8) -> float:
    """Variance of the Laplacian of a grey image ``[H, W]``: small where there are no sharp edges."""
    return float(cv2.Laplacian(grey, cv2.CV_32F).var())


def thumbnail(grey: UInt8) -> Float32:
    """A grey image ``[H, W]`` reduced to ``[32, 32]``."""
    small = cv2.resize(grey, (_THUMBNAIL, _THUMBNAIL), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32)
