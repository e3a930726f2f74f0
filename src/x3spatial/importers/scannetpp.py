"""Kind ``scannetpp``: ScanNet++ v2, frames of the iPhone that were extracted from its videos."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from x3spatial.arrays import Bool, Int64
from x3spatial.importers.colmap import find_model, read_colmap
from x3spatial.importers.loading import find_image
from x3spatial.importers.meshes import MeshScene
from x3spatial.importers.options import ReadOptions
from x3spatial.importers.registry import Found, SceneRef
from x3spatial.importers.scan_files import (
    depth_file,
    file_frame,
    label_vertices,
    load_groups,
    load_mesh,
    load_segments,
    splits_of,
)
from x3spatial.importers.scene import Scene, SceneError
from x3spatial.importers.sources import find_named
from x3spatial.io.images import read_mask
from x3spatial.io.opening import open_text

_MESH = "scans/mesh_aligned_0.05.ply"
_ANONYMISED = "scans/mesh_aligned_0.05_mask.txt"
_MASKS = ("rgb_masks", "rgb_mask")
_SPLITS = {
    "train": ("nvs_sem_train.txt",),
    "validation": ("nvs_sem_val.txt",),
    "test": ("nvs_test.txt", "sem_test.txt", "nvs_test_iphone.txt", "nvs_test_small.txt"),
}


def find(source: Path, options: ReadOptions) -> Found:
    """List the scenes of a source; see ``registry.Reader``."""
    places = [place / "splits" for place in (source, *source.parents[:2])]
    splits = splits_of({s: [p / n for p in places for n in names] for s, names in _SPLITS.items()})
    return find_named("scannetpp", source, options, ("data",), _is_scene, splits, _MESH)


def _is_scene(folder: Path) -> bool:
    return (folder / _MESH).is_file()


def open_scene(ref: SceneRef, options: ReadOptions) -> Scene:
    """Open a scene; see ``registry.Reader``."""
    folder = ref.path
    phone = folder / "iphone"
    if not (phone / "rgb").is_dir():
        raise SceneError(
            phone,
            "has no frames: extract them with the ScanNet++ toolkit (iphone.prepare_iphone_data,"
            " extract_rgb, extract_masks, extract_depth)",
        )
    if find_model(phone) is None:
        raise SceneError(
            phone / "colmap", "has no cameras.txt and images.txt; download iphone/colmap"
        )
    mesh = load_mesh(folder / _MESH)
    annotation = folder / "scans/segments_anno.json"
    groups = load_groups(annotation)
    segments = load_segments(folder / "scans/segments.json", len(mesh.vertices))
    labels = label_vertices(segments, groups)
    labels[_anonymised(folder / _ANONYMISED, len(labels))] = -1
    # The mesh is in metres, and the poses are aligned to it.
    posed = read_colmap(phone, replace(options, scale=options.scale or 1.0))
    frames, keep = [], dict[str, Callable[[], Bool]]()
    for image in posed.images:
        name = image.path.stem.removeprefix("frame_")
        depth = depth_file(phone / "depth" / f"{image.path.stem}.png", options.depth_scale)
        frames.append(file_frame(name, folder, image.path, image.camera, depth))
        masks = (find_image(phone / place / image.path.stem) for place in _MASKS)
        if mask := next((path for path in masks if path is not None), None):
            keep[name] = partial(read_mask, mask)
    return MeshScene(
        name=ref.name,
        split=ref.split,
        folder=folder,
        mesh=mesh,
        labels=labels,
        annotated=[item for item, _ in groups],
        frames=frames,
        options=options,
        problems=posed.problems,
        keep=keep,
        annotation=annotation,
    )


def _anonymised(path: Path, vertices: int) -> Int64:
    """Vertices whose surroundings are anonymised.

    Raises:
        SceneError: the file does not belong to the mesh.
    """
    if not path.exists():
        return np.zeros(0, np.int64)
    try:
        with open_text(path) as file:
            found = np.array(file.read().split(), np.int64)
    except (OSError, UnicodeDecodeError, ValueError, OverflowError) as error:
        raise SceneError(path, f"is no list of vertices: {error}") from None
    if len(found) and (found.min() < 0 or found.max() >= vertices):
        raise SceneError(path, f"names a vertex that is not one of the mesh's {vertices}")
    return found
