"""``x3 model resize``: a checkpoint for images of another size."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from helpers.roborefer_fixture import CHECKPOINT
from x3spatial.errors import UserError
from x3spatial.models.roborefer import load_model, load_processor
from x3spatial.models.roborefer.inspect import inspect
from x3spatial.models.roborefer.resize import (
    RESIZE_FILE,
    has_resize_note,
    is_resized,
    resize_checkpoint,
    resize_positions,
    rotate_queries,
)
from x3spatial.models.roborefer.tiny import make_tiny


@pytest.fixture(scope="module")
def trainable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """108 x 108 pixels, patches of 9, two heads of the first layer that look one image back."""
    return make_tiny(
        out=tmp_path_factory.mktemp("resize") / "trainable",
        size="trainable",
        depth=False,
        dtype="float16",
    )


def rotary(vector: torch.Tensor, position: int, theta: float) -> torch.Tensor:
    """Qwen2's rotary embedding of one vector, written out."""
    half = len(vector) // 2
    turned = torch.empty_like(vector)
    for i in range(half):
        angle = torch.tensor(position * theta ** (-i / half), dtype=torch.float64)
        turned[i] = vector[i] * angle.cos() - vector[half + i] * angle.sin()
        turned[half + i] = vector[half + i] * angle.cos() + vector[i] * angle.sin()
    return turned


@given(st.integers(0, 300), st.integers(0, 60), st.integers(-40, 40), st.integers(0, 2**31))
def test_turned_queries_score_as_before_from_further_on(
    place: int, apart: int, distance: int, seed: int
) -> None:
    draw = torch.Generator().manual_seed(seed)
    query, other, key = torch.randn(3, 8, generator=draw, dtype=torch.float64)
    both = rotate_queries(
        torch.cat([query, other]), heads=1, width=8, distance=distance, theta=10_000.0
    )
    assert torch.equal(both[8:], other)
    before = rotary(query, place + apart, 10_000.0) @ rotary(key, place, 10_000.0)
    after = rotary(both[:8], place + apart + distance, 10_000.0) @ rotary(key, place, 10_000.0)
    assert float(after) == pytest.approx(float(before), abs=1e-9)


def test_positions_keep_their_places() -> None:
    # Columns and rows as embeddings: resampled, they still rise evenly from one edge to the other.
    column, row = torch.meshgrid(torch.arange(12.0), torch.arange(12.0), indexing="xy")
    resized = resize_positions(torch.stack([column, row], -1).reshape(144, 2), 18).reshape(
        18, 18, 2
    )
    expected = (torch.arange(18) + 0.5) * 12 / 18 - 0.5
    inner = slice(2, -2)  # cubics bend at the edges, and keep a slope to a twentieth of a patch
    assert torch.allclose(resized[5, inner, 0], expected[inner], atol=0.05)
    assert torch.allclose(resized[inner, 5, 1], expected[inner], atol=0.05)


def test_a_resized_model_has_more_tokens_and_can_be_used(trainable: Path, tmp_path: Path) -> None:
    out = resize_checkpoint(
        checkpoint=trainable, out=tmp_path / "out", image_size=162, rotate_heads=2
    )
    before, after = inspect(path=trainable), inspect(path=out)
    assert (before["tokens"]["per_image"], after["tokens"]["per_image"]) == (17, 37)
    assert after["dtype"] == before["dtype"]
    for name in ("mm_projector", "llm"):
        assert after["parts"][name]["parameters"] == before["parts"][name]["parameters"]
    processor = load_processor(out)
    assert processor.image_processor.size == {"height": 162, "width": 162}
    old, new = load_model(trainable).state_dict(), load_model(out).state_dict()
    changed = {name for name, value in new.items() if not torch.equal(value, old[name])}
    query = "llm.model.layers.0.self_attn.q_proj."
    assert changed == {
        "vision_tower.embeddings.position_embedding.weight", f"{query}weight", f"{query}bias",
    }  # fmt: skip


def test_the_same_size_changes_nothing(tmp_path: Path) -> None:
    side = load_processor(CHECKPOINT).image_processor.size["height"]
    out = resize_checkpoint(
        checkpoint=CHECKPOINT, out=tmp_path / "out", image_size=side, rotate_heads=1
    )
    old, new = load_model(CHECKPOINT).state_dict(), load_model(out).state_dict()
    assert old.keys() == new.keys()
    assert all(torch.equal(value, old[name]) for name, value in new.items())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_size": 100}, "--image-size 100: expected a multiple of 9"),
        ({"image_size": 162, "rotate_heads": 9}, "--rotate-heads 9: expected 0 to 4"),
    ],
)
def test_what_does_not_fit_is_one_line(
    trainable: Path, tmp_path: Path, options: dict[str, int], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        resize_checkpoint(checkpoint=trainable, out=tmp_path / "out", **options)


def test_a_folder_with_something_in_it_is_refused(trainable: Path, tmp_path: Path) -> None:
    (tmp_path / "kept.txt").write_text("mine")
    with pytest.raises(UserError, match="not empty"):
        resize_checkpoint(checkpoint=trainable, out=tmp_path, image_size=162)
    assert [file.name for file in tmp_path.iterdir()] == ["kept.txt"]


def test_one_that_is_stopped_leaves_nothing_half_written(
    trainable: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from x3spatial.models.roborefer import resize as module

    real = vars(module)["save_upstream"]

    def stopped(*args: Any, **kwargs: Any) -> Path:
        real(*args, **kwargs)
        raise KeyboardInterrupt

    out = tmp_path / "out"
    monkeypatch.setattr(module, "save_upstream", stopped)
    with pytest.raises(KeyboardInterrupt):
        resize_checkpoint(checkpoint=trainable, out=out, image_size=162)
    assert not any(out.iterdir())
    assert not is_resized(checkpoint=trainable, out=out, image_size=162)
    monkeypatch.undo()
    assert resize_checkpoint(checkpoint=trainable, out=out, image_size=162) == out
    assert sorted(folder.name for folder in tmp_path.iterdir()) == ["out"]
    assert is_resized(checkpoint=trainable, out=out, image_size=162)
    assert not is_resized(checkpoint=trainable, out=out, image_size=162, rotate_heads=2)
    assert not is_resized(checkpoint=CHECKPOINT, out=out, image_size=162)


def test_a_checkpoint_that_an_earlier_version_resized_is_recognised(
    trainable: Path, tmp_path: Path
) -> None:
    out = resize_checkpoint(
        checkpoint=trainable, out=tmp_path / "out", image_size=162, rotate_heads=2
    )
    note = json.loads((out / RESIZE_FILE).read_text())
    (out / RESIZE_FILE).unlink()
    assert not has_resize_note(out)
    note["turn_heads"] = note.pop("rotate_heads")
    (out / "x3_growth.json").write_text(json.dumps(note))
    assert has_resize_note(out)
    assert is_resized(checkpoint=trainable, out=out, image_size=162, rotate_heads=2)
    assert not is_resized(checkpoint=trainable, out=out, image_size=162, rotate_heads=1)
