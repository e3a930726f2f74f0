"""Models that decode images themselves: transformers, and requests to a server."""

from __future__ import annotations

from pathlib import Path

import pytest

import x3spatial as x3
from packing.conftest import Packed
from packing.test_reading import without_paths
from x3spatial.formats.image_paths import ImagePaths
from x3spatial.formats.task_file import read_records


def test_a_transformers_model(packed: Packed, tmp_path: Path) -> None:
    tiny_vlms = pytest.importorskip("helpers.tiny_vlms")
    tiny_vlms.make_vlm("qwen2_5_vl", tmp_path / "model")
    for out, source in (("a", packed.json()), ("b", packed.set())):
        x3.evaluate(
            source, tmp_path / f"{out}.json", f"hf:{tmp_path / 'model'}",
            limit=3, max_new_tokens=4, model_options={"convention": "unit"},
        )  # fmt: skip
    one, other = (without_paths(tmp_path / f"{name}.json") for name in "ab")
    assert one["results"] == other["results"] and one["metrics"] == other["metrics"]
    assert one["metrics"]["errors"] == 0


def test_the_images_of_requests(packed: Packed) -> None:
    from x3spatial.io.members import file_at
    from x3spatial.models.servers.images import ImageCache, ImageLimits

    cache = ImageCache(ImageLimits(10**7))
    ours, theirs = (
        ImagePaths(path).records(read_records(path))[0] for path in (packed.json(), packed.set())
    )
    for one, other in zip(ours.images, theirs.images, strict=True):
        assert cache.get(Path(one)) == cache.get(file_at(other))
