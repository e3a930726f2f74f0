"""The options of ``x3 import``: how a source is read, and which objects and frames are chosen.

Every threshold of the choice is a field here, and docs/import.md gives the reason for its value.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from x3spatial.errors import UserError, flag
from x3spatial.roots.layout import SPLITS

POSES = ("camera-to-world", "world-to-camera")
AXES = ("auto", "opencv", "opengl")
MASK_ORIENTATIONS = ("auto", "displayed", "stored")
LABELS = ("number", "unique")


@dataclass(frozen=True)
class ReadOptions:
    """How a source is read."""

    split: str = "validation"
    """Split of scenes whose source does not say it."""
    scenes: tuple[str, ...] | None = None
    """Names of the scenes to import; None: all."""
    poses: str = "camera-to-world"
    """What the matrices of transforms.json are: camera-to-world or world-to-camera."""
    axes: str = "auto"
    """Axes of the cameras: opencv (y down, z forward), opengl (y up, z backward), or auto, as the format has
    them."""
    scale: float | None = None
    """Metres per unit of the poses (default: 1 for transforms.json; unknown for COLMAP)."""
    depth_scale: float | None = None
    """Metres per unit of the depth images (default: 0.001 for whole numbers, else 1)."""
    depth_tolerance: float = 0.1
    """Metres, beside 2 % of the distance, by which a mesh and the depth of a frame may differ."""
    depth_disagree: float = 0.3
    """Share of a frame's pixels in which they may differ by more before the frame is not used."""
    every: int = 1
    """Use every Nth frame of a scene."""
    dataset: str | None = None
    """The data set, by its name in scenezoo (KIND scenezoo)."""
    frame_source: str | None = None
    """The data set's source of frames, where scenezoo has several of them (such as iphone_colmap)."""
    mask_orientation: str = "auto"
    """Masks of photos with an orientation tag were drawn on the photo as displayed, as stored, or auto: by
    their size."""

    def to_json(self) -> dict[str, Any]:
        """The options that decide what a scene contains."""
        found = asdict(self)
        del found["scenes"], found["split"]
        return found


STRUCTURE = (
    "wall", "floor", "ceiling", "window", "door", "doorframe", "door frame", "windowframe",
    "window frame", "window sill", "windowsill", "baseboard", "beam", "column", "pillar", "stairs",
    "rug", "carpet", "curtain", "blinds", "object", "objects", "item", "remove", "split", "unknown",
    "unlabeled", "unlabelled", "background", "otherstructure", "otherprop", "otherfurniture",
)  # fmt: skip
"""Labels that are parts of the building, cover much of it, or name nothing."""


@dataclass(frozen=True)
class ChoiceOptions:
    """Which objects and frames are used, and at which size."""

    objects: int = 15
    """Most objects per scene; the best seen are used."""
    views: int = 5
    """Views per object."""
    min_visible_views: int = 2
    """Least views that show the object; objects with fewer are left out."""
    absent: int = 1
    """Views per object that do not show it, where the scene has such frames."""
    max_side: int = 640
    """Longest side of written images in pixels; larger ones are reduced, 0 keeps their size."""
    exclude: tuple[str, ...] = STRUCTURE
    """Labels that are no objects."""
    labels: str = "number"
    """Objects with equal labels: number them (chair 1, chair 2), or leave them out (unique)."""
    min_share: float = 0.0002
    """Least visible share of the image in a view that counts as showing the object."""
    min_share_first: float = 0.0012
    """The same for view 01."""
    max_share: float = 0.25
    """Most visible share of the image."""
    min_visible: float = 0.15
    """Least visible fraction of the object in a view that counts as showing it, where it is known."""
    min_visible_first: float = 0.5
    """The same for view 01."""
    min_angle: float = 20.0
    """Least angle at the object between two views that show it, in degrees, where possible."""
    max_angle: float = 100.0
    """Greatest such angle, where possible."""
    min_apart: float = 5.0
    """Degrees below which two views are near-duplicates and never both used."""
    min_difference: float = 4.0
    """Mean grey difference (0 to 255) of 32 x 32 thumbnails below which two frames are near-duplicates."""
    min_sharpness: float = 0.3
    """Least sharpness (variance of the Laplacian) of a frame, as a share of the scene's median."""

    def to_json(self) -> dict[str, Any]:
        """All of them."""
        return asdict(self)


def check_options(read: ReadOptions, choice: ChoiceOptions) -> None:
    """Check that all values are in range.

    Raises:
        UserError: one is not; the message names the option.
    """

    def one_of(name: str, value: str, known: tuple[str, ...]) -> None:
        if value not in known:
            raise UserError(f"{flag(name)} {value}: must be one of {', '.join(known)}")

    def within(name: str, low: float, high: float) -> None:
        value = getattr(choice, name)
        if not low <= value <= high:
            raise UserError(f"{flag(name)} {value:g}: must be between {low:g} and {high:g}")

    one_of("split", read.split, tuple(split for split in SPLITS if split != "val"))
    one_of("poses", read.poses, POSES)
    one_of("axes", read.axes, AXES)
    one_of("mask_orientation", read.mask_orientation, MASK_ORIENTATIONS)
    one_of("labels", choice.labels, LABELS)
    for name in ("scale", "depth_scale"):
        value = getattr(read, name)
        if value is not None and not 0 < value < float("inf"):
            raise UserError(f"{flag(name)} {value:g}: must be above 0")
    if read.every < 1:
        raise UserError(f"--every {read.every}: must be at least 1")
    if not 0 < read.depth_tolerance < float("inf"):
        raise UserError(f"--depth-tolerance {read.depth_tolerance:g}: must be above 0")
    if not 0 <= read.depth_disagree <= 1:
        raise UserError(f"--depth-disagree {read.depth_disagree:g}: must be between 0 and 1")
    within("objects", 1, 1000)
    within("views", 2, 99)
    within("min_visible_views", 1, choice.views)
    within("absent", 0, choice.views - 1)
    if choice.max_side:
        within("max_side", 64, 16384)
    for name in ("min_share", "min_share_first", "max_share", "min_visible", "min_visible_first"):
        within(name, 0, 1)
    within("min_angle", 0, 180)
    within("max_angle", choice.min_angle, 180)
    within("min_apart", 0, 180)
    within("min_difference", 0, 255)
    within("min_sharpness", 0, 1)
