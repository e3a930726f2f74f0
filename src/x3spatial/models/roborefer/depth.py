"""Paths of depth maps: ``--depth DIR`` mirrors the data root."""

from __future__ import annotations

from pathlib import Path

from x3spatial.errors import UserError
from x3spatial.tasks.question import Question
from x3spatial.tasks.spec import TASKS

_KINDS = ("_original", "_marked", "_inpainted")


def depth_path(image: Path, folder: Path) -> Path:
    """The depth map of an image, ``DIR/{split}/{scene}/uid_{uid}/{NN}_{frame}_depth.png``.

    The last three folders of the image's path are those of the data root; the build uses the same layout for
    marked images. The map of an inpainted image is ``…_inpainted_depth.png`` if that exists, otherwise the
    map of its view.

    Raises:
        FileNotFoundError: there is no such map.
        ValueError: the name of the image does not follow the naming of the data root.
    """
    kind = next((kind for kind in _KINDS if image.stem.endswith(kind)), None)
    if kind is None:
        raise ValueError(f"{image}: --depth needs images named *_original, *_marked or *_inpainted")
    view = image.stem.removesuffix(kind)
    mirrored = folder.joinpath(*image.parent.parts[-3:])
    names = [f"{view}_depth.png"]
    if kind == "_inpainted":
        names.insert(0, f"{view}_inpainted_depth.png")
    for name in names:
        if (mirrored / name).is_file():
            return mirrored / name
    raise FileNotFoundError(f"{mirrored / names[-1]}: no such depth map (for {image})")


def has_depth_maps(task: str) -> bool:
    """Whether the images of ``task`` have depth maps: side-by-side images have none."""
    spec = TASKS.get(task)
    return spec is None or not spec.side_by_side


def check_depth(question: Question) -> None:
    """Check that the question has depth maps, which side-by-side images do not.

    Raises:
        UserError: the question has a side-by-side image.
    """
    if not has_depth_maps(question.task):
        raise UserError(f"--depth: {question.id} is a concat sample, which has no depth map")
