"""The scene files of a large root in memory."""

from __future__ import annotations

import pickle
import tracemalloc

import numpy as np
import pytest

from x3spatial.roots.scene_file import SceneFile, Sight
from x3spatial.roots.scene_files import SceneFiles, ScenesOfSplit


def scene(number: int, frames: int = 20) -> SceneFile:
    names = [f"{frame:06d}" for frame in range(frames)]
    shares = {
        a: {b: (i * j + number) / 1000 for j, b in enumerate(names)} for i, a in enumerate(names)
    }
    return SceneFile(
        place=f"place {number}",
        positions={name: np.array([number, 1.0, 2.0]) for name in names},
        centres={"7": np.zeros(3)},
        kinds={"7": "chair"},
        pixels={name: {"7": number} for name in names},
        sights={"7": {name: Sight(number, 0.5) for name in names}},
        overlap={str(uid): shares for uid in range(4)},
    )


def test_scenes_come_back_as_they_were_added() -> None:
    keys = [("train", f"s{number}") for number in range(40)]
    files = SceneFiles((key, scene(number)) for number, key in enumerate(keys))
    assert list(files) == keys and len(files) == 40
    assert ("train", "s3") in files and ("train", "s40") not in files
    assert files.get(("validation", "s3")) is None
    with pytest.raises(KeyError):
        files["train", "s40"]
    for copy in (files, pickle.loads(pickle.dumps(files))):
        for number in (39, 0, 17, 39):  # more than are kept as objects, and back
            found = copy["train", f"s{number}"]
            assert found.place == f"place {number}" and found.sights["7"]["000003"].pixels == number
            assert found.baseline("000001", "000002") == 0


def test_scenes_of_a_split_know_those_without_a_file() -> None:
    files = SceneFiles([(("train", "a"), scene(1)), (("validation", "b"), scene(2))])
    found = ScenesOfSplit(files, "train", ["b", "a"])
    assert list(found) == ["a", "b"] and len(found) == 2
    assert found["b"] is None and found["a"] is not None and found.get("c") is None


def test_many_scenes_take_a_fraction_of_their_objects() -> None:
    def grown(many: int) -> int:
        tracemalloc.start()
        files = SceneFiles()
        for number in range(many):
            files.add(("train", f"s{number}"), scene(number))
        size, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert len(files) == many
        return size

    tracemalloc.start()
    one = scene(0)
    alone, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert one.place
    assert grown(40) < 40 * alone / 5
