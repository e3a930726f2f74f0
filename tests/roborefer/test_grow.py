"""``x3 model grow``: a checkpoint for images of another size."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from roborefer.fixture import CHECKPOINT
from x3spatial.errors import UserError
from x3spatial.models.roborefer import load_model, load_processor
from x3spatial.models.roborefer.grow import grow, resize_positions, turn_queries
from x3spatial.models.roborefer.inspect import inspect
from x3spatial.models.roborefer.layout import SHIPPED


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
    both = turn_queries(
        torch.cat([query, other]), heads=1, width=8, distance=distance, theta=10_000.0
    )
    assert torch.equal(both[8:], other)
    before = rotary(query, place + apart, 10_000.0) @ rotary(key, place, 10_000.0)
    after = rotary(both[:8], place + apart + distance, 10_000.0) @ rotary(key, place, 10_000.0)
    assert float(after) == pytest.approx(float(before), abs=1e-9)


def test_positions_keep_their_places() -> None:
    # Columns and rows as embeddings: resampled, they still rise evenly from one edge to the other.
    column, row = torch.meshgrid(torch.arange(12.0), torch.arange(12.0), indexing="xy")
    grown = resize_positions(torch.stack([column, row], -1).reshape(144, 2), 18).reshape(18, 18, 2)
    expected = (torch.arange(18) + 0.5) * 12 / 18 - 0.5
    inner = slice(2, -2)  # cubics bend at the edges, and keep a slope to a twentieth of a patch
    assert torch.allclose(grown[5, inner, 0], expected[inner], atol=0.05)
    assert torch.allclose(grown[inner, 5, 1], expected[inner], atol=0.05)


def test_a_grown_model_has_more_tokens_and_can_be_used(tmp_path: Path) -> None:
    out = grow(checkpoint=Path(SHIPPED), out=tmp_path / "out", image_size=162, turn_heads=2)
    before, after = inspect(path=Path(SHIPPED)), inspect(path=out)
    assert (before["tokens"]["per_image"], after["tokens"]["per_image"]) == (17, 37)
    assert after["dtype"] == before["dtype"]
    for name in ("mm_projector", "llm"):
        assert after["parts"][name]["parameters"] == before["parts"][name]["parameters"]
    processor = load_processor(out)
    assert processor.image_processor.size == {"height": 162, "width": 162}
    old, new = load_model(Path(SHIPPED)).state_dict(), load_model(out).state_dict()
    changed = {name for name, value in new.items() if not torch.equal(value, old[name])}
    query = "llm.model.layers.0.self_attn.q_proj."
    assert changed == {
        "vision_tower.embeddings.position_embedding.weight", f"{query}weight", f"{query}bias",
    }  # fmt: skip


def test_the_same_size_changes_nothing(tmp_path: Path) -> None:
    side = load_processor(CHECKPOINT).image_processor.size["height"]
    out = grow(checkpoint=CHECKPOINT, out=tmp_path / "out", image_size=side, turn_heads=1)
    old, new = load_model(CHECKPOINT).state_dict(), load_model(out).state_dict()
    assert old.keys() == new.keys()
    assert all(torch.equal(value, old[name]) for name, value in new.items())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_size": 100}, "--image-size 100: expected a multiple of 9"),
        ({"image_size": 162, "turn_heads": 9}, "--turn-heads 9: expected 0 to 4"),
    ],
)
def test_what_does_not_fit_is_one_line(
    tmp_path: Path, options: dict[str, int], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        grow(checkpoint=Path(SHIPPED), out=tmp_path / "out", **options)


def test_a_folder_with_something_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "kept.txt").write_text("mine")
    with pytest.raises(UserError, match="not empty"):
        grow(checkpoint=Path(SHIPPED), out=tmp_path, image_size=162)
    assert [file.name for file in tmp_path.iterdir()] == ["kept.txt"]
