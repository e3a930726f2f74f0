"""A checkpoint for images of another size: more patches, more tokens, the same parameters otherwise.

Small things need fine tokens and fine tokens cost time, so a model learns at a small size first and goes on
at a larger one. What does not depend on the size is kept; positions of the tower are interpolated, as is
usual for ViTs (Dosovitskiy et al., 2021, section 3.2). The model has to be trained further: its tokens stand
elsewhere.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch

from x3spatial.errors import UserError
from x3spatial.io.files import new_dir, read_manifest, write_json
from x3spatial.models.choices import ROTATE_HEADS
from x3spatial.models.roborefer.checkpoint import Checkpoint, load_model, read_checkpoint
from x3spatial.models.roborefer.configuration import RoboReferConfig
from x3spatial.models.roborefer.layout import fingerprint
from x3spatial.models.roborefer.modeling import RoboReferForConditionalGeneration
from x3spatial.models.roborefer.processing import RoboReferProcessor, load_processor
from x3spatial.models.roborefer.saving import save_upstream

GROWTH_FILE = "x3_growth.json"
"""In a grown checkpoint: what it was grown from, and how."""

_POSITIONS = "embeddings.position_embedding.weight"


def grow(
    checkpoint: str | Path, out: str | Path, *, image_size: int, turn_heads: int = ROTATE_HEADS
) -> Path:
    """Write ``checkpoint`` for images of ``image_size`` x ``image_size`` pixels, in the published layout.

    Args:
        checkpoint: folder of either layout, or a shipped name; it stays as it is.
        out: new folder.
        image_size: pixels; a multiple of the patch size.
        turn_heads: so many heads of the decoder's first layer look as many images back as before: their
            queries are turned by the tokens that an image has more. For models that began with such
            heads (``x3 model tiny --size learner``: 2); 0 leaves the decoder alone.

    Raises:
        UserError: no checkpoint, a size that does not fit, too many heads, or the folder holds something.
    """
    checkpoint, out = Path(checkpoint), Path(out)
    read = read_checkpoint(checkpoint)
    check_growth(read, image_size=image_size, turn_heads=turn_heads)
    with new_dir(out, "--out") as part:
        model, processor, state = _enlarged(read, image_size, turn_heads)
        save_upstream(model, processor, part, state_dict=state)
    # Last: where it stands, all of it is there.
    write_json(out / GROWTH_FILE, _note(read, image_size, turn_heads))
    return out


def _enlarged(
    read: Checkpoint, image_size: int, turn_heads: int
) -> tuple[RoboReferForConditionalGeneration, RoboReferProcessor, dict[str, torch.Tensor]]:
    """The model and its processor set to the new size, and the tensors to store."""
    model, processor = load_model(read), load_processor(read)
    config: RoboReferConfig = model.config
    state = dict(model.state_dict())
    before = config.tokens_per_image
    for name, tower in (
        ("vision_tower", config.vision_config),
        ("depth_tower", config.depth_config),
    ):
        if tower is not None:
            key = f"{name}.{_POSITIONS}"
            state[key] = resize_positions(state[key], image_size // tower.patch_size)
            tower.image_size = image_size
    processor.image_processor.size = {"height": image_size, "width": image_size}
    processor.tokens_per_image = config.tokens_per_image
    processor.tokens_per_depth = config.tokens_per_depth
    text = config.text_config
    for kind in ("weight", "bias"):
        key = f"llm.model.layers.0.self_attn.q_proj.{kind}"
        state[key] = turn_queries(
            state[key],
            heads=turn_heads,
            width=text.hidden_size // text.num_attention_heads,
            distance=config.tokens_per_image - before,
            theta=text.rope_parameters["rope_theta"],
        )
    return model, processor, state


def check_growth(checkpoint: Checkpoint, *, image_size: int, turn_heads: int = 0) -> None:
    """Refuse what ``grow`` cannot do with this checkpoint.

    Raises:
        UserError: it is refused; the message names the file or option.
    """
    config = checkpoint.config
    patch, heads = config.vision_config.patch_size, config.text_config.num_key_value_heads
    if image_size < 1 or image_size % patch:
        raise UserError(
            f"--image-size {image_size}: expected a multiple of {patch}, the patch size"
        )
    if not 0 <= turn_heads <= heads:
        raise UserError(f"--turn-heads {turn_heads}: expected 0 to {heads}, the heads with keys")


def is_grown(*, checkpoint: Path, out: Path, image_size: int, turn_heads: int = 0) -> bool:
    """Whether ``out`` is what ``grow`` with these arguments writes: the same weights, grown alike.

    Raises:
        UserError: ``checkpoint`` is none.
    """
    note = read_manifest(out / GROWTH_FILE)
    return note == _note(read_checkpoint(checkpoint), image_size, turn_heads)


def _note(checkpoint: Checkpoint, image_size: int, turn_heads: int) -> dict[str, Any]:
    return {
        "from": fingerprint(checkpoint.layout),
        "image_size": image_size,
        "turn_heads": turn_heads,
    }


def resize_positions(weight: torch.Tensor, grid: int) -> torch.Tensor:
    """``[grid * grid, width]``: the position embedding ``[n * n, width]``, bicubically resampled."""
    old = math.isqrt(weight.shape[0])
    if old == grid:
        return weight
    square = weight.float().reshape(1, old, old, -1).permute(0, 3, 1, 2)
    larger = torch.nn.functional.interpolate(
        square, size=(grid, grid), mode="bicubic", align_corners=False
    )
    return larger.permute(0, 2, 3, 1).reshape(grid * grid, -1).to(weight.dtype)


def turn_queries(
    values: torch.Tensor, *, heads: int, width: int, distance: int, theta: float
) -> torch.Tensor:
    """Queries that agree with keys ``distance`` tokens further back than before; the first ``heads`` only.

    A rotary query at position p and a key at k make a score that depends on p - k. Turned by ``-distance``
    beforehand, a query gives at p - k + distance what it gave at p - k.

    Args:
        values: weight ``[heads * width, inputs]`` or bias ``[heads * width]`` of a query projection.
        heads: how many to turn.
        width: of a head; its halves hold the two components of each frequency, as in Qwen2.
        distance: in tokens.
        theta: base of the rotary frequencies.
    """
    half = width // 2
    angles = -distance * theta ** (-torch.arange(half, dtype=torch.float64) / half)
    shape = (1, half) + (1,) * (values.ndim - 1)
    cosine, sine = angles.cos().reshape(shape), angles.sin().reshape(shape)
    split = values.double().reshape(-1, width, *values.shape[1:]).clone()
    first, second = split[:heads, :half].clone(), split[:heads, half:].clone()
    split[:heads, :half] = first * cosine - second * sine
    split[:heads, half:] = first * sine + second * cosine
    return split.reshape(values.shape).to(values.dtype)
