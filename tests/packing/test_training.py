"""Training from a pack: the same batches, also from a loader's processes, and the same weights."""

from __future__ import annotations

from pathlib import Path

import pytest

from packing.conftest import Packed
from training.common import CHECKPOINT, options

torch = pytest.importorskip("torch")

from safetensors.torch import load_file  # noqa: E402
from torch.utils.data import DataLoader  # noqa: E402

from x3spatial.cli import run  # noqa: E402
from x3spatial.training.dataset import LazySupervisedSpatialDataset  # noqa: E402
from x3spatial.training.setup import processor_for  # noqa: E402


@pytest.mark.parametrize("aspect", ["resize", "dynamic"])
def test_the_samples_are_equal(packed: Packed, aspect: str) -> None:
    processor = processor_for(CHECKPOINT, aspect)
    ours, theirs = (
        LazySupervisedSpatialDataset(path, processor)
        for path in (packed.json("t1_train_multi"), packed.set("t1_train_multi"))
    )
    assert len(ours) == len(theirs) > 0
    for number in (0, len(ours) - 1):
        one, other = ours[number], theirs[number]
        assert ours.tiles(ours.image_paths(ours.samples[0])[0]) == theirs.tiles(
            theirs.image_paths(theirs.samples[0])[0]
        )
        assert torch.equal(one["input_ids"], other["input_ids"])
        assert torch.equal(one["image"], other["image"])


@pytest.mark.parametrize("method", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
def test_a_loader_with_processes(packed: Packed, method: str) -> None:
    data = LazySupervisedSpatialDataset(
        packed.set("t1_train_multi"), processor_for(CHECKPOINT, "resize")
    )
    expected = [data[number]["image"] for number in range(4)]
    loader = DataLoader(
        torch.utils.data.Subset(data, range(4)),
        batch_size=None, num_workers=2, multiprocessing_context=method,
    )  # fmt: skip
    for item, image in zip(loader, expected, strict=True):
        assert torch.equal(item["image"], image)


def test_a_step_gives_the_same_weights(packed: Packed, tmp_path: Path) -> None:
    for name, data in (("a", packed.json("t1_train_multi")), ("b", packed.set("t1_train_multi"))):
        arguments = options(data, tmp_path / name, max_steps=1, image_folder="/")
        assert run(["sft", *arguments]) == 0
    one, other = (
        {p.relative_to(tmp_path / n): p for p in (tmp_path / n).rglob("*.safetensors")}
        for n in "ab"
    )
    assert set(one) == set(other) != set()
    for path in one:
        a, b = load_file(one[path]), load_file(other[path])
        assert all(torch.equal(a[key], b[key]) for key in a)
