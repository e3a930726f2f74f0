"""Every number of the reference fixture that concerns inference, within its README's tolerances."""

from __future__ import annotations

from typing import Any

import pytest

from helpers.roborefer_fixture import (
    CHECKPOINT,
    FIXTURE,
    expected_json,
    expected_tensors,
    image_path,
    samples,
    torch,
)

PIXELS, TOWER, LOGITS, LOSS = 2e-7, 1e-5, 1e-4, 1e-5


def close(actual: Any, wanted: Any, tolerance: float) -> None:
    assert tuple(actual.shape) == tuple(wanted.shape)
    assert float((actual.float() - wanted.float()).abs().max()) <= tolerance


@pytest.fixture(scope="module")
def pixels(processor: Any) -> dict[str, Any]:
    from x3spatial.models.local.image_loading import load_rgb
    from x3spatial.models.roborefer.images import load_depth

    return {
        name: processor.image_processor.pixels(
            (load_depth if name.startswith("depth") else load_rgb)(image_path(name))
        )
        for name in expected_tensors("pixels.safetensors")
    }


@pytest.mark.parametrize(
    "name",
    ["concat_ab", "depth_a", "depth_b", "exact_112", "grey_L", "rgba_small", "view_a", "view_b"],
)
def test_pixels(pixels: dict[str, Any], name: str) -> None:
    close(pixels[name][0], expected_tensors("pixels.safetensors")[name], PIXELS)


def test_every_hidden_state_of_the_tower(model: Any, pixels: dict[str, Any]) -> None:
    wanted = expected_tensors("vision.safetensors")
    batch = torch.cat([pixels["view_a"], pixels["view_b"]])
    with torch.no_grad():
        for layer in range(4):
            state = model.vision_tower(batch, layer)
            close(state, wanted[f"view_ab.hidden_states.{layer}"], TOWER)
        close(model.vision_tower(batch, -2), wanted["view_ab.selected"], TOWER)
        last = model.vision_tower.post_layernorm(model.vision_tower(batch, -1))
        close(last, wanted["view_ab.last_hidden_state_after_post_layernorm"], TOWER)


def test_projector(model: Any, pixels: dict[str, Any]) -> None:
    wanted = expected_tensors("vision.safetensors")
    batch = torch.cat([pixels["view_a"], pixels["view_b"]])
    with torch.no_grad():
        fold = model.mm_projector.layers[0]
        close(fold(wanted["view_ab.selected"]), wanted["view_ab.space_to_depth"], 0)
        features = model.get_image_features(batch)
        close(features, wanted["view_ab.projected"], TOWER)


@pytest.mark.parametrize("grid", [6, 7, 8])
def test_folding_on_all_remainders(grid: int) -> None:
    from x3spatial.models.roborefer.modeling import Fold3x3

    cases = expected_tensors("space_to_depth_cases.safetensors")
    close(Fold3x3()(cases[f"grid{grid}.in"]), cases[f"grid{grid}.out"], 0)


def test_image_rows_end_with_the_newline_embedding(model: Any, processor: Any) -> None:
    wanted = expected_tensors("vision.safetensors")["view_a.image_embeds_with_end_token"]
    inputs = processor(images=image_path("view_a"), text="<image>")
    with torch.no_grad():
        close(model.merge(inputs["input_ids"], **_media(inputs))[0], wanted, TOWER)


def _media(inputs: Any) -> dict[str, Any]:
    return {k: v for k, v in inputs.items() if k not in ("input_ids", "attention_mask")}


RGB_CASES = {
    "one_image": ["concat_single_string"],
    "two_image": ["t1_visible"],
    "batch_two_plus_one": ["t1_visible", "concat_single_string"],
}
RGBD_CASES = {"rgbd_one": ["rgbd_one"], "rgbd_two": ["rgbd_two"]}


def _inputs(processor: Any, name: str) -> tuple[Any, Any, Any]:
    """Model inputs, labels and the expected tensors of one forward case.

    Ids and labels come from the fixture; room for the media and padding are ours.
    """
    depth = name in RGBD_CASES
    wanted = expected_tensors("forward_rgbd.safetensors" if depth else "forward_rgb.safetensors")
    wanted = {k.removeprefix(name + "."): v for k, v in wanted.items() if k.startswith(name + ".")}
    records = samples("samples_rgbd.json" if depth else "samples_rgb.json")
    chosen = [records[key] for key in (RGBD_CASES if depth else RGB_CASES)[name]]
    rows, labels = [], []
    for ids, label, mask in zip(
        wanted["input_ids"], wanted["labels"], wanted["attention_mask"], strict=True
    ):
        row, row_labels = processor.expand(ids[mask].tolist(), label[mask].tolist())
        rows.append(row)
        labels.append(row_labels)
    inputs = processor.pad(rows, "right")
    width = inputs["input_ids"].shape[1]
    labels = torch.tensor([row + [-100] * (width - len(row)) for row in labels])
    texts = ["<image>" * len(_paths(r["image"])) for r in chosen]
    inputs |= _media(processor(images=[_paths(r["image"]) for r in chosen], text=texts))
    if depth:
        texts = [
            t + "<depth>" * len(_paths(r["depth"])) for t, r in zip(texts, chosen, strict=True)
        ]
        inputs |= _media(
            processor(
                images=[_paths(r["image"]) for r in chosen],
                depths=[_paths(r["depth"]) for r in chosen],
                text=texts,
            )
        )
    return inputs, labels, wanted


def _paths(value: Any) -> list[Any]:
    return [FIXTURE / path for path in ([value] if isinstance(value, str) else value)]


@pytest.mark.parametrize("name", [*RGB_CASES, *RGBD_CASES])
def test_forward(model: Any, processor: Any, name: str) -> None:
    inputs, labels, wanted = _inputs(processor, name)
    assert torch.equal(labels, wanted["merged_labels"])
    mask = inputs["attention_mask"].bool()
    assert torch.equal(mask, wanted["merged_attention_mask"])
    with torch.no_grad():
        embeds = model.merge(inputs["input_ids"], **_media(inputs))
        # Upstream pads the merged sequence with zero vectors, here stands the pad token: both are masked.
        close(embeds[mask], wanted["inputs_embeds"][mask], TOWER)
        output = model(**inputs, labels=labels)
    if "logits" in wanted:
        close(output.logits, wanted["logits"], LOGITS)
    loss = float(wanted["loss"])
    assert float(output.loss) == pytest.approx(loss, rel=LOSS)


def test_a_padded_batch_gives_the_logits_of_its_samples(model: Any, processor: Any) -> None:
    inputs, _, _ = _inputs(processor, "batch_two_plus_one")
    stored = expected_tensors("forward_rgb.safetensors")
    with torch.no_grad():
        logits = model(**inputs).logits
    for row, name in enumerate(["two_image", "one_image"]):
        wanted = stored[f"{name}.logits"][0]
        close(logits[row, : len(wanted)], wanted, LOGITS)


def test_sdpa_is_as_close_as_upstreams_own_kernels(processor: Any) -> None:
    from x3spatial.models.roborefer import load_model

    model = load_model(CHECKPOINT, attention="sdpa")
    inputs, labels, wanted = _inputs(processor, "two_image")
    with torch.no_grad():
        output = model(**inputs, labels=labels)
    close(output.logits, wanted["logits"], LOGITS)
    assert float(output.loss) == pytest.approx(float(wanted["loss"]), rel=LOSS)


def test_depth_tower_and_projector(model: Any, pixels: dict[str, Any]) -> None:
    wanted = expected_tensors("forward_rgbd.safetensors")
    with torch.no_grad():
        close(model.depth_tower(pixels["depth_a"]), wanted["depth_a.selected"], TOWER)
        features = model.get_depth_features(pixels["depth_a"])
        close(features, wanted["depth_a.projected"], TOWER)


GENERATIONS = expected_json("generation_rgb.json")


def _prompt(processor: Any, case: str) -> Any:
    """Inputs from the fixture's own prompt ids, so that only generation is under test."""
    record = samples()[case]
    ids = processor.expand(GENERATIONS[case]["prompt_ids"])[0]
    images = _paths(record["image"])
    media = _media(processor(images=images, text="<image>" * len(images)))
    return processor.pad([ids]) | media


def _new_ids(model: Any, inputs: Any, **options: Any) -> list[int]:
    with torch.no_grad():
        output = model.generate(**inputs, max_new_tokens=16, **options)
    return list(output[0, inputs["input_ids"].shape[1] :].tolist())


@pytest.mark.parametrize("case", list(GENERATIONS))
def test_greedy_ids(model: Any, processor: Any, case: str) -> None:
    inputs = _prompt(processor, case)
    assert _new_ids(model, inputs) == GENERATIONS[case]["generated_ids"]
    assert (
        processor.decode(GENERATIONS[case]["generated_ids"], skip_special_tokens=True)
        == (GENERATIONS[case]["text"])
    )


@pytest.mark.parametrize("case", list(GENERATIONS))
def test_greedy_ids_without_a_cache(model: Any, processor: Any, case: str) -> None:
    inputs = _prompt(processor, case)
    assert _new_ids(model, inputs, use_cache=False) == GENERATIONS[case]["generated_ids"]


def test_the_stop_id_is_kept(model: Any, processor: Any) -> None:
    case = GENERATIONS["t1_visible"]
    inputs = _prompt(processor, "t1_visible")
    assert _new_ids(model, inputs, eos_token_id=227) == case["generated_ids_if_eos_is_227"]


def test_repetition_penalty_on_new_ids(model: Any, processor: Any) -> None:
    # Upstream generates from embeddings, so its penalty sees the new ids only.
    inputs = _prompt(processor, "t1_visible")
    with torch.no_grad(), pytest.warns(UserWarning, match="only to newly generated tokens"):
        embeds = model.merge(inputs["input_ids"], **_media(inputs))
        output = model.generate(
            inputs_embeds=embeds,
            attention_mask=inputs["attention_mask"],
            max_new_tokens=16,
            repetition_penalty=1.1,
        )
    wanted = GENERATIONS["t1_visible"]["generated_ids_with_repetition_penalty_1.1"]
    assert output[0].tolist() == wanted


def test_greedy_rgbd_ids(model: Any, processor: Any) -> None:
    case = expected_json("tokenization_rgbd.json")[-1]
    record = samples("samples_rgbd.json")["rgbd_one"]
    media = _media(
        processor(
            images=_paths(record["image"]), depths=_paths(record["depth"]), text="<image><depth>"
        )
    )
    inputs = processor.pad([processor.expand(case["prompt_ids"])[0]]) | media
    assert _new_ids(model, inputs)[: len(case["generated_ids"])] == case["generated_ids"]
