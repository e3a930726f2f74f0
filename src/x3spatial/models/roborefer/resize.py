"""Resizing a checkpoint to another image size: more patches and tokens, otherwise the same parameters.

Small objects need a fine token grid, which is slow to train, so a model is trained at a small image size
first and then at a larger one. Weights that do not depend on the size are kept; the position embedding of
the tower is interpolated, as usual for ViTs (Dosovitskiy et al., 2021, section 3.2). The resized model has to
be trained further, because the positions of its tokens have changed.
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

RESIZE_FILE = "x3_resize.json"
"""In a resized checkpoint: the fingerprint of its base and the options."""
_OLD_FILE, _OLD_HEADS = "x3_growth.json", "turn_heads"
"""Name and field of that file in checkpoints that were resized before it had its present name."""

_POSITIONS = "embeddings.position_embedding.weight"


def resize_checkpoint(
    checkpoint: str | Path, out: str | Path, *, image_size: int, rotate_heads: int = ROTATE_HEADS
) -> Path:
    """Write ``checkpoint`` for images of ``image_size`` x ``image_size`` pixels, in the published layout.

    Args:
        checkpoint: folder of either layout, or a shipped name; it stays as it is.
        out: new folder.
        image_size: pixels; a multiple of the patch size.
        rotate_heads: number of heads of the decoder's first layer that keep attending one image back:
            their queries are rotated by the number of tokens that an image gains. For models that were
            initialised with such heads (``x3 model tiny --size trainable``: 2); 0 changes no query.

    Raises:
        UserError: the checkpoint cannot be read, the size is not a multiple of the patch size, there are
            fewer heads, or the folder is not empty.
    """
    checkpoint, out = Path(checkpoint), Path(out)
    read = read_checkpoint(checkpoint)
    check_resize(read, image_size=image_size, rotate_heads=rotate_heads)
    with new_dir(out, "--out") as part:
        model, processor, state = _resized(read, image_size, rotate_heads)
        save_upstream(model, processor, part, state_dict=state)
    # Written last: it marks a complete checkpoint.
    write_json(out / RESIZE_FILE, _note(read, image_size, rotate_heads))
    return out


def _resized(
    read: Checkpoint, image_size: int, rotate_heads: int
) -> tuple[RoboReferForConditionalGeneration, RoboReferProcessor, dict[str, torch.Tensor]]:
    """Model and processor with the new image size, and the tensors to store."""
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
        state[key] = rotate_queries(
            state[key],
            heads=rotate_heads,
            width=text.hidden_size // text.num_attention_heads,
            distance=config.tokens_per_image - before,
            theta=text.rope_parameters["rope_theta"],
        )
    return model, processor, state


def check_resize(checkpoint: Checkpoint, *, image_size: int, rotate_heads: int = 0) -> None:
    """Check the options of ``resize_checkpoint`` against a checkpoint.

    Raises:
        UserError: an option does not fit; the message names it.
    """
    config = checkpoint.config
    patch, heads = config.vision_config.patch_size, config.text_config.num_key_value_heads
    if image_size < 1 or image_size % patch:
        raise UserError(
            f"--image-size {image_size}: expected a multiple of {patch}, the patch size"
        )
    if not 0 <= rotate_heads <= heads:
        raise UserError(
            f"--rotate-heads {rotate_heads}: expected 0 to {heads}, the number of key-value heads"
        )


def is_resized(*, checkpoint: Path, out: Path, image_size: int, rotate_heads: int = 0) -> bool:
    """Whether ``out`` is the result of ``resize_checkpoint`` with these arguments and the same weights.

    Raises:
        UserError: ``checkpoint`` is not a checkpoint.
    """
    note = read_manifest(out / RESIZE_FILE) or read_manifest(out / _OLD_FILE)
    if note is not None and _OLD_HEADS in note:
        note = {**note, "rotate_heads": note[_OLD_HEADS]}
        del note[_OLD_HEADS]
    return note == _note(read_checkpoint(checkpoint), image_size, rotate_heads)


def has_resize_note(folder: Path) -> bool:
    """Whether ``resize_checkpoint`` wrote the folder, from whatever checkpoint."""
    return any((folder / name).is_file() for name in (RESIZE_FILE, _OLD_FILE))


def _note(checkpoint: Checkpoint, image_size: int, rotate_heads: int) -> dict[str, Any]:
    return {
        "from": fingerprint(checkpoint.layout),
        "image_size": image_size,
        "rotate_heads": rotate_heads,
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


def rotate_queries(
    values: torch.Tensor, *, heads: int, width: int, distance: int, theta: float
) -> torch.Tensor:
    """Rotate the queries of the first ``heads`` heads to match keys ``distance`` tokens further back.

    The score of a rotary query at position p and a key at position k depends on p - k. A query rotated by
    ``-distance`` beforehand has the same score at p - k + distance.

    Args:
        values: weight ``[heads * width, inputs]`` or bias ``[heads * width]`` of a query projection.
        heads: number of heads to rotate.
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
