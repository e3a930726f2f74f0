"""The model beyond the fixture: other sizes, media per sample, generation and training modes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from helpers.plain_model import Plain
from helpers.roborefer_fixture import CHECKPOINT, expected_json, image_path, torch
from x3spatial.models.roborefer import load_model, load_processor
from x3spatial.models.roborefer.saving import save_hf
from x3spatial.models.roborefer.tiny import Size, make_tiny

OTHER_SIZES = {
    "grid 5 (remainder 2), untied": (Size((40, 3, 4, 72), 1, (24, 4, 3, 40), 70), False),
    "grid 7 (remainder 1), no grouping": (Size((48, 1, 6, 56), 6, (36, 2, 2, 20), 98), True),
    "grid 6 (remainder 0), wide": (Size((128, 2, 2, 96), 2, (16, 5, 1, 64), 84), True),
}


@pytest.mark.parametrize("name", list(OTHER_SIZES))
def test_other_sizes_equal_a_plain_computation(tmp_path: Path, name: str) -> None:
    size, tied = OTHER_SIZES[name]
    folder = make_tiny(out=tmp_path / "c", size=size, seed=3, tied=tied)
    model, processor, plain = load_model(folder), load_processor(folder), Plain(folder)
    text = "<|im_start|>user\n<image> <depth>\nWhere is it?<|im_end|>\n"
    inputs = processor(images=image_path("view_a"), depths=image_path("depth_a"), text=text)
    with torch.no_grad():
        logits = model(**inputs).logits[0]
    before, between, after = (
        plain.embed(processor.tokenize(piece))
        for piece in ("<|im_start|>user\n", " ", "\nWhere is it?<|im_end|>\n")
    )
    newline = plain.embed(processor.tokenize("\n"))
    image = plain.projector("mm_projector", plain.tower("vision_tower", inputs["pixel_values"][0]))
    depth = plain.projector(
        "depth_projector", plain.tower("depth_tower", inputs["depth_values"][0])
    )
    cells = -(-(size.image // 14) // 3)
    assert len(image) == cells * cells
    wanted = plain.llm(torch.cat([before, image, newline, between, depth, newline, after]))
    assert logits.shape == wanted.shape
    assert float((logits - wanted).abs().max()) < 1e-4 * max(1.0, float(wanted.std()))


def _two(processor: Any) -> Any:
    views = [[image_path("view_a"), image_path("view_b")], [image_path("exact_112")]]
    return processor(images=views, text=["<image>\n<image>\nWhere?", "<image>\nIs it there?"])


def test_media_are_checked_per_sample(model: Any, processor: Any) -> None:
    inputs = _two(processor)
    swapped = torch.tensor([[0, -1], [1, 2]])  # right in total, wrong for each
    with pytest.raises(ValueError, match="sample 0 of the batch: 18 image placeholders"):
        model(**{**inputs, "image_indices": swapped})
    with pytest.raises(ValueError, match="2 image"):
        values = {k: v for k, v in inputs.items() if k != "image_indices"}
        model(**{**values, "pixel_values": inputs["pixel_values"][:2]})
    with pytest.raises(ValueError, match="has image placeholders, but no image was given"):
        model(input_ids=inputs["input_ids"])


def test_without_indices_media_go_in_order(model: Any, processor: Any) -> None:
    inputs = _two(processor)
    with torch.no_grad():
        wanted = model(**inputs).logits
        values = {k: v for k, v in inputs.items() if k != "image_indices"}
        assert torch.equal(model(**values).logits, wanted)


def test_padding_side_does_not_matter(model: Any, processor: Any) -> None:
    views = [[image_path("view_a"), image_path("view_b")], [image_path("exact_112")]]
    texts = ["<image>\n<image>\nWhere?", "<image>\nIs it there?"]
    last = []
    for side in ("left", "right"):
        inputs = processor(images=views, text=texts, padding_side=side)
        with torch.no_grad():
            logits = model(**inputs).logits
        last.append(logits[inputs["attention_mask"].bool()])
    assert float((last[0] - last[1]).abs().max()) < 1e-4


def test_one_picture_shown_twice_is_encoded_once(model: Any, processor: Any) -> None:
    inputs = _two(processor)
    inputs["image_indices"] = torch.tensor([[0, 1], [0, -1]])
    seen: list[int] = []
    hook = model.vision_tower.register_forward_hook(lambda _m, args, _o: seen.append(len(args[0])))
    try:
        with torch.no_grad():
            shared = model(**{**inputs, "pixel_values": inputs["pixel_values"][:2]}).logits
            rows = inputs["pixel_values"][[0, 1, 0]]
            order = torch.tensor([[0, 1], [2, -1]])
            repeated = model(**{**inputs, "pixel_values": rows, "image_indices": order}).logits
    finally:
        hook.remove()
    assert seen == [2, 3]
    assert float((shared - repeated).abs().max()) < 1e-5


def test_the_unused_last_layer_is_not_computed(model: Any, processor: Any) -> None:
    calls: list[int] = []
    layers = model.vision_tower.encoder.layers
    hooks = [
        layer.register_forward_hook(lambda *_, n=n: calls.append(n))
        for n, layer in enumerate(layers)
    ]
    with torch.no_grad():
        model(**_two(processor))
    for hook in hooks:
        hook.remove()
    assert calls == [0, 1]
    assert len(layers) == 3


@pytest.mark.parametrize(
    "options", [{"num_beams": 3}, {"do_sample": True, "num_return_sequences": 2}]
)
def test_expanded_batches_keep_their_pictures(
    model: Any, processor: Any, options: dict[str, Any]
) -> None:
    inputs = _two(processor)
    torch.manual_seed(0)
    output = model.generate(**inputs, max_new_tokens=4, **options)
    assert len(output) == 2 * options.get("num_return_sequences", 1)
    values = {k: v for k, v in inputs.items() if k != "image_indices"}
    torch.manual_seed(0)
    assert torch.equal(model.generate(**values, max_new_tokens=4, **options), output)


def test_auto_classes_read_our_own_layout(tmp_path: Path, model: Any, processor: Any) -> None:
    from transformers import AutoConfig, AutoModelForImageTextToText, AutoProcessor

    own = save_hf(model, processor, tmp_path / "own")
    config = AutoConfig.from_pretrained(own)
    assert config.model_type == "roborefer"
    loaded: Any = AutoModelForImageTextToText.from_pretrained(own, dtype="float32")
    reader = AutoProcessor.from_pretrained(own)
    assert (reader.tokens_per_image, reader.end_tokens) == (9, "\n")
    case = expected_json("generation_rgb.json")["t1_not_visible"]
    views = [image_path("view_b"), image_path("exact_112")]
    media = reader(images=views, text="<image><image>")
    inputs = {**media, **reader.pad([reader.expand(case["prompt_ids"])[0]])}
    output = loaded.generate(**inputs, max_new_tokens=16)
    assert output[0, inputs["input_ids"].shape[1] :].tolist() == case["generated_ids"]


def test_pillow_is_used_whatever_backend_is_asked_for(
    tmp_path: Path, model: Any, processor: Any
) -> None:
    from transformers.models.auto.image_processing_auto import AutoImageProcessor

    from x3spatial.models.roborefer import RoboReferImageProcessor

    own = save_hf(model, processor, tmp_path / "own")
    for backend in (None, "torchvision", "pil"):
        loaded = AutoImageProcessor.from_pretrained(own, backend=backend)
        assert type(loaded) is RoboReferImageProcessor
    pixels = loaded(image_path("view_a"))["pixel_values"]
    assert torch.equal(pixels, processor(image_path("view_a"), "<image>")["pixel_values"])


def _labelled(processor: Any) -> dict[str, Any]:
    inputs = dict(_two(processor))
    labels = inputs["input_ids"].clone()
    labels[:, :-5] = -100
    return inputs | {"labels": labels}


@pytest.mark.filterwarnings("ignore:`gradient_checkpointing_enable` is deprecated:FutureWarning")
@pytest.mark.parametrize("reentrant", [True, False])
def test_gradient_checkpointing_changes_no_gradient(processor: Any, reentrant: bool) -> None:
    gradients = []
    for checkpointing in (False, True):
        model = load_model(CHECKPOINT).train()
        if checkpointing:
            model.gradient_checkpointing_enable({"use_reentrant": reentrant})
            model.enable_input_require_grads()
            assert model.vision_tower.encoder.layers[0].gradient_checkpointing
        output = model(**_labelled(processor), use_cache=False)
        output.loss.backward()
        gradients.append({k: p.grad for k, p in model.named_parameters() if p.grad is not None})
    if (
        reentrant
    ):  # its tower gets no gradient unless its input does; the language model's must agree
        gradients = [{k: g for k, g in each.items() if k.startswith("llm.")} for each in gradients]
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        assert float((gradient - gradients[1][name]).abs().max()) < 1e-5, name


@pytest.mark.filterwarnings("ignore:`gradient_checkpointing_enable` is deprecated:FutureWarning")
@pytest.mark.parametrize("checkpointing", [False, True])
def test_a_frozen_tower_keeps_no_activations(processor: Any, checkpointing: bool) -> None:
    """Checkpointing makes the outputs of embeddings require gradients, those of a frozen tower too."""
    model = load_model(CHECKPOINT)
    model.vision_tower.requires_grad_(False)
    if checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    model.train()
    model.vision_tower.eval()  # as in training: layers in eval mode are not checkpointed
    pixels = _labelled(processor)["pixel_values"]
    kept: list[torch.Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(kept.append, lambda value: value):
        rows = model.vision_tower(pixels)
        assert not kept and not rows.requires_grad
        model.vision_tower.requires_grad_(True)
        assert model.vision_tower(pixels).requires_grad and kept


def test_frozen_parts_and_parameters_without_use(processor: Any) -> None:
    model = load_model(CHECKPOINT).train()
    model(**_labelled(processor)).loss.backward()
    without = {n for n, p in model.named_parameters() if p.grad is None}
    depth = {n for n in without if n.startswith(("depth_tower.", "depth_projector."))}
    unused = set(model.unused_parameters())
    assert without - depth == {n for n in unused if n.startswith("vision_tower.")}
    # The same list as the reference: its parameters with a null gradient norm.
    norms = expected_json("training.json")["grad_norm_at_start"]
    wanted = {
        name.replace("vision_tower.vision_tower.vision_model.", "vision_tower.")
        for name, norm in norms.items()
        if norm is None
    }
    assert {n for n in unused if n.startswith("vision_tower.")} == wanted
    model.zero_grad(set_to_none=True)
    for part in ("vision_tower", "mm_projector"):
        model.parts()[part].requires_grad_(False)
    model(**_labelled(processor)).loss.backward()
    assert all((p.grad is None) != n.startswith("llm.") for n, p in model.named_parameters())


def test_the_loss_is_the_token_mean_over_a_window(processor: Any) -> None:
    model = load_model(CHECKPOINT)
    batch = _labelled(processor)
    with torch.no_grad():
        mean = model(**batch).loss
        halved = model(**batch, num_items_in_batch=torch.tensor(20)).loss
    assert float(halved) == pytest.approx(float(mean) * 10 / 20)


def test_parts_on_several_devices(tmp_path: Path) -> None:
    """The parts are called through their own forward, so device hooks see them."""
    own = save_hf(load_model(CHECKPOINT), load_processor(CHECKPOINT), tmp_path / "own")
    device_map = {
        "vision_tower": "cpu", "mm_projector": "disk", "depth_tower": "disk",
        "depth_projector": "cpu", "llm": "cpu",
    }  # fmt: skip
    from transformers import AutoModelForImageTextToText

    split = AutoModelForImageTextToText.from_pretrained(
        own, device_map=device_map, offload_folder=tmp_path / "offload"
    )
    processor = load_processor(CHECKPOINT)
    inputs = _two(processor)
    with torch.no_grad():
        wanted = load_model(CHECKPOINT)(**inputs).logits
        assert torch.allclose(split(**inputs).logits, wanted, atol=1e-5)
