"""The lean kernel: what the plain one computes, with less memory traffic."""

from __future__ import annotations

import pytest
import torch

from helpers.roborefer_fixture import CHECKPOINT
from x3spatial.models.roborefer import attention, load_model


def _batch(config: object, *, left: bool) -> dict[str, torch.Tensor]:
    """Two samples of one image each, the second shorter and padded."""
    generator = torch.Generator().manual_seed(5)
    tokens = config.tokens_per_image  # type: ignore[attr-defined]
    ids = torch.randint(20, 90, (2, tokens + 12), generator=generator)
    mask = torch.ones_like(ids)
    pad = slice(0, 4) if left else slice(-4, None)
    mask[1, pad] = 0
    ids[:, 5 : 5 + tokens] = config.image_token_id  # type: ignore[attr-defined]
    size = config.vision_config.image_size  # type: ignore[attr-defined]
    pixels = torch.rand(2, 3, size, size, generator=generator) * 2 - 1
    labels = ids.clone()
    labels[:, :-6] = -100
    labels[mask == 0] = -100
    return {"input_ids": ids, "attention_mask": mask, "pixel_values": pixels, "labels": labels}


@pytest.mark.parametrize("left", [False, True])
def test_it_agrees_with_the_plain_kernel(left: bool) -> None:
    found = {}
    for kernel in ("eager", "lean"):
        model = load_model(CHECKPOINT, dtype="float32", attention=kernel)
        batch = _batch(model.config, left=left)
        output = model(**batch)
        output.loss.backward()
        gradients = {
            name: parameter.grad
            for name, parameter in model.named_parameters()
            if parameter.grad is not None
        }
        real = batch["attention_mask"].bool()
        found[kernel] = (output.loss.item(), output.logits[real], gradients)
    plain, lean = found["eager"], found["lean"]
    assert lean[0] == pytest.approx(plain[0], abs=1e-5)
    torch.testing.assert_close(lean[1], plain[1], atol=1e-4, rtol=0)
    assert lean[2].keys() == plain[2].keys() and len(plain[2]) > 20
    for name, gradient in plain[2].items():
        torch.testing.assert_close(lean[2][name], gradient, atol=1e-5, rtol=1e-3)


def test_in_bfloat16_scores_stay_there_and_a_fully_padded_row_is_finite() -> None:
    model = load_model(CHECKPOINT, dtype="float32", attention="lean")
    kinds = set()
    real = attention.lean_attention

    def watched(*args: object, **kwargs: object) -> object:
        output = real(*args, **kwargs)  # type: ignore[arg-type]
        kinds.add(output[1].dtype)
        return output

    vars(attention)["AttentionInterface"].register("lean", watched)
    try:
        with torch.autocast("cpu", torch.bfloat16):
            output = model(**_batch(model.config, left=True))
    finally:
        attention.register()
    assert kinds == {torch.bfloat16}
    assert torch.isfinite(output.logits).all()
