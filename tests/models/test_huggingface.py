"""Asking image-text models of transformers: sizes, padding, batches, conventions, decoding, adapters."""

from __future__ import annotations

import json
import re
import shutil
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from helpers.hf_common import PROMPT, TASK, ask, folder, mixed, picture, question
from helpers.tiny_vlms import FAMILIES, load_file, save_file, torch
from x3spatial.errors import UserError
from x3spatial.models.base import as_output
from x3spatial.models.huggingface.model import HuggingFaceModel, Prepared

NEW = 10


def model_of(family: str, **options: Any) -> HuggingFaceModel:
    return HuggingFaceModel(
        folder(family), **{"convention": "unit", "max_new_tokens": NEW, **options}
    )


def words(model: HuggingFaceModel, prepared: Prepared) -> str:
    """What the model is given to read, for the only question of a batch."""
    (inputs,) = prepared.inputs.values()
    return str(model.processor.tokenizer.decode(inputs["input_ids"][0]))


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_answers_do_not_depend_on_the_batch_or_its_order(family: str) -> None:
    model, questions = model_of(family), mixed()
    single = ask(model, questions, 1)
    assert len({output.text for output in single.values()}) == len(
        questions
    )  # not one noise for all
    assert ask(model, questions, 5) == single
    assert ask(model, questions[::-1], 3) == single


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_every_image_is_seen_and_in_its_place(family: str) -> None:
    a, b, c = (picture(96, 64, number) for number in range(3))
    model = model_of(family)
    pairs = [question("ab", a, b), question("ba", b, a), question("ac", a, c), question("cb", c, b)]
    assert len({output.text for output in ask(model, pairs, 4).values()}) == 4


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_batches_are_padded_on_the_left(family: str) -> None:
    model, questions = model_of(family), mixed()
    (inputs,) = model.prepare(questions).inputs.values()
    mask = inputs["attention_mask"]
    assert bool(mask[:, -1].all())
    assert not bool(mask[:, 0].all())  # some are shorter than the longest
    assert bool((mask[:, 1:] >= mask[:, :-1]).all())
    pad = model.processor.tokenizer.pad_token_id
    assert bool((inputs["input_ids"][mask == 0] == pad).all())


# Computed by hand from the published rule: both sides to the nearest multiple of 28 (32), then shrunk by
# the root of area over bound, rounded down, or grown, rounded up.
GOLDEN = [
    ("qwen2_vl", {}, (320, 240), (308, 252)),
    ("qwen2_5_vl", {}, (320, 240), (308, 252)),
    ("qwen2_5_vl", {}, (96, 64), (84, 56)),
    ("qwen2_5_vl", {}, (130, 40), (140, 28)),
    ("qwen2_5_vl", {}, (50, 20), (112, 56)),
    ("qwen2_5_vl", {}, (1600, 1200), (1148, 840)),
    ("qwen2_5_vl", {"max_pixels": 28 * 28 * 64}, (320, 240), (252, 168)),
    ("qwen2_5_vl", {"min_pixels": 200_000}, (320, 240), (532, 392)),
    ("qwen3_vl", {}, (320, 240), (320, 256)),
    ("qwen3_vl", {}, (1600, 1200), (1312, 960)),
    ("llava", {}, (320, 240), (56, 56)),
    ("idefics3", {}, (320, 240), None),
    ("internvl", {}, (320, 240), None),
    ("llava_onevision", {}, (320, 240), None),
]


@pytest.mark.parametrize(("family", "options", "sent", "resized"), GOLDEN)
def test_resized_sizes(family: str, options: dict[str, int], sent: Any, resized: Any) -> None:
    model = model_of(family, max_new_tokens=1, **options)
    asked = question("q", picture(96, 64), picture(*sent))
    prepared = model.prepare([asked])
    (output,) = map(as_output, model.answer([asked], prepared))
    assert output.details["sent"] == [[96, 64], list(sent)]
    assert output.details["resized"][1] == (None if resized is None else list(resized))
    grid = prepared.inputs[("q",)].get("image_grid_thw")
    if grid is not None:  # what the model is really given
        patch = 16 if family == "qwen3_vl" else 14
        assert [int(grid[1][2]) * patch, int(grid[1][1]) * patch] == list(resized)


def test_the_area_of_images_is_bounded_unless_told_otherwise() -> None:
    def bounds(**options: int) -> list[int]:
        found = model_of("qwen2_5_vl", **options).describe()["processor"]
        return [found["min_pixels"], found["max_pixels"]]

    assert bounds() == [56 * 56, 1280 * 28 * 28]  # the folder itself allows 16384 tokens
    assert bounds(max_pixels=12_845_056) == [56 * 56, 12_845_056]
    assert bounds(min_pixels=2_000_000) == [2_000_000, 2_000_000]
    for options, message in (
        ({"max_pixels": 100}, "--max-pixels 100: must be at least 3136"),
        ({"min_pixels": 9000, "max_pixels": 8000}, "--max-pixels 8000: must be at least 9000"),
        ({"min_pixels": 0}, "--min-pixels 0: must be at least 1"),
    ):
        with pytest.raises(UserError, match=message):
            model_of("qwen2_5_vl", **options)
    with pytest.raises(UserError, match=r"--max-pixels: .*idefics3 resizes images by a rule"):
        model_of("idefics3", max_pixels=10_000)


def test_sizes_are_those_that_the_convention_counts() -> None:
    asked = question("q", picture(96, 64), picture(320, 240))
    for convention, sizes, said in (
        ("unit", (), "[(x, y)]"),
        ("thousand", (), "to 1000 at the bottom"),
        ("pixel", ((96, 64), (320, 240)), "320 pixels wide"),
        ("qwen2.5-px", ((84, 56), (308, 252)), "point_2d"),
    ):
        model = model_of("qwen2_5_vl", convention=convention, max_new_tokens=1)
        prepared = model.prepare([asked])
        assert as_output(model.answer([asked], prepared)[0]).sizes == sizes
        assert said in words(model, prepared).replace("\n", " ")
        assert model.convention == model.describe()["convention"] == convention


def test_a_point_in_the_prompt_is_in_the_pixels_of_the_resized_image() -> None:
    model = model_of("qwen2_5_vl", convention=None, max_new_tokens=1)
    asked = question("q", picture(320, 240), reference_point=(0.25, 0.5))
    assert "[77, 126]" in words(model, model.prepare([asked]))  # of 308 x 252


def test_the_type_of_the_model_chooses_the_convention() -> None:
    for family, convention in (
        ("qwen2_vl", "qwen2-1000"),
        ("qwen2_5_vl", "qwen2.5-px"),
        ("qwen3_vl", "qwen3-1000"),
        ("internvl", "internvl-1000"),
        *([("minicpmv4_6", "minicpm-1000")] if "minicpmv4_6" in FAMILIES else []),
    ):
        assert model_of(family, convention=None).convention == convention
    with pytest.raises(UserError, match=r"no entry for model type 'llava' .* one of unit, .*pixel"):
        model_of("llava", convention=None)
    with pytest.raises(UserError, match=r"--convention polar: unknown; known are unit, "):
        model_of("llava", convention="polar")


def test_a_convention_that_counts_resized_pixels_needs_a_model_that_has_them() -> None:
    with pytest.raises(UserError, match=r"--convention qwen2.5-px: .*cuts, crops or pads"):
        model_of("idefics3", convention="qwen2.5-px")
    model = model_of("llava", convention="qwen2.5-px", max_new_tokens=1)
    assert ask(model, [question("q", picture(320, 240))], 1)["q"].sizes == ((56, 56),)


def test_the_message_is_the_images_then_the_text() -> None:
    model = model_of("llava")
    text = words(model, model.prepare([question("q", picture(96, 64), picture(64, 96))]))
    image = "<image>" * 16 + "\n"
    assert text == f"<|im_start|>user\n{image * 2}{PROMPT}<|im_end|>\n<|im_start|>assistant\n"


def test_images_stand_after_their_names_if_the_convention_names_them() -> None:
    model = model_of("qwen3_vl", convention="qwen3-pictures-1000", max_new_tokens=1)
    shown = [question("q", picture(96, 64), picture(64, 96))]
    text = words(model, model.prepare(shown))
    image = r"<\|vision_start\|>(?:<\|image_pad\|>)+<\|vision_end\|>"
    assert re.search(
        rf"user\nPicture 1: {image}Picture 2: {image}{re.escape(TASK)}\n.*\(Picture 2\)", text
    )
    assert model.describe()["message"] == "each image after its name (Picture 1: ), then the text"
    alone = words(model, model.prepare([question("one", picture(96, 64))]))
    plain = model_of("qwen3_vl", convention="qwen3-1000", max_new_tokens=1)
    assert alone == words(plain, plain.prepare([question("one", picture(96, 64))]))
    assert plain.describe()["message"] == "images in the record's order, then the text"


def test_a_template_that_moves_images_is_refused(tmp_path: Path) -> None:
    out = Path(shutil.copytree(folder("qwen3_vl"), tmp_path / "model"))
    first = (
        "{% for m in messages %}{% for p in m['content'] if p['type'] == 'image' %}"
        "<|vision_start|><|image_pad|><|vision_end|>{% endfor %}"
        "{% for p in m['content'] if p['type'] == 'text' %}{{ p['text'] }}{% endfor %}{% endfor %}"
    )
    (out / "chat_template.jinja").write_text(first)
    HuggingFaceModel(out, convention="qwen3-1000")
    with pytest.raises(UserError, match=r"--convention qwen3-pictures-1000: the chat template of"):
        HuggingFaceModel(out, convention="qwen3-pictures-1000")


def test_nothing_but_pictures_and_the_text_reaches_the_model(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = model_of("idefics3", max_new_tokens=1)
    seen: list[Any] = []
    plain = type(model.processor).__call__

    def spy(self: Any, conversations: Any) -> Any:
        seen.extend(conversations)
        return plain(self, conversations)

    monkeypatch.setattr(type(model.processor), "__call__", spy)
    record = {"query_mask": "/secret_mask.png", "conversations": ["secret answer"]}
    asked = question("secret_id", picture(96, 64), record=record)
    ask(model, [asked], 1)
    ((message,),) = seen
    image, text = message["content"]
    assert text == {"type": "text", "text": PROMPT}
    assert set(image) == {"type", "image"} and type(image["image"]) is Image.Image
    assert not model.privileged
    assert not image["image"].info and "filename" not in vars(image["image"])


def test_pictures_are_read_as_rgb(tmp_path: Path) -> None:
    model = model_of("qwen2_5_vl")
    rgb = np.asarray(Image.open(picture(64, 64)))
    alpha = np.full((64, 64, 1), 7, np.uint8)
    Image.fromarray(np.concatenate([rgb, alpha], -1), "RGBA").save(tmp_path / "rgba.png")
    Image.fromarray(rgb[..., 0]).save(tmp_path / "grey.png")
    Image.fromarray(np.repeat(rgb[..., :1], 3, -1)).save(tmp_path / "grey_rgb.png")
    texts = [
        ask(model, [question("q", path)], 1)["q"].text
        for path in (
            picture(64, 64), tmp_path / "rgba.png", tmp_path / "grey.png", tmp_path / "grey_rgb.png",
        )
    ]  # fmt: skip
    assert texts[0] == texts[1] != texts[2] == texts[3]


def changed(family: str, out: Path, name: str, **values: Any) -> Path:
    """A copy of a model's folder with other values in one of its json files."""
    shutil.copytree(folder(family), out)
    file = out / name
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))
    return out


def test_an_answer_says_why_it_ended(tmp_path: Path) -> None:
    asked = question("q", picture(96, 64))
    plain = model_of("qwen3_vl")
    cut = ask(plain, [asked], 1)["q"]
    assert cut.details["finish"] == "max_new_tokens"
    ids = plain.processor.tokenizer(cut.text)["input_ids"]
    path = changed("qwen3_vl", tmp_path / "m", "generation_config.json", eos_token_id=[490, ids[3]])
    ended = HuggingFaceModel(path, convention="unit", max_new_tokens=NEW)
    answers = ask(ended, [asked, question("p", picture(130, 40))], 2)
    assert answers["q"].details["finish"] == "eos"
    assert answers["q"].text == plain.processor.decode([ids[:3]])[0]
    assert ids[3] in ended.describe()["decoding"]["eos_token_id"]


def test_what_is_cropped_has_no_size(tmp_path: Path) -> None:
    crop = {"do_center_crop": True, "crop_size": {"height": 56, "width": 56}}
    path = changed("llava", tmp_path / "m", "preprocessor_config.json", **crop)
    model = HuggingFaceModel(path, convention="unit", max_new_tokens=1)
    assert ask(model, [question("q", picture(320, 240))], 1)["q"].details["resized"] == [None]
    with pytest.raises(UserError, match=r"--convention qwen2.5-px: .*cuts, crops or pads"):
        HuggingFaceModel(path, convention="qwen2.5-px")


def test_greedy_whatever_the_folder_says(tmp_path: Path) -> None:
    rules = {
        "repetition_penalty": 5.0, "do_sample": True, "temperature": 3.0, "no_repeat_ngram_size": 1,
        "min_new_tokens": 9, "suppress_tokens": list(range(200)),
    }  # fmt: skip
    path = changed("idefics3", tmp_path / "odd", "generation_config.json", **rules)
    odd = HuggingFaceModel(path, convention="unit", max_new_tokens=NEW)
    plain = model_of("idefics3")
    assert ask(odd, mixed(), 5) == ask(plain, mixed(), 5)
    assert odd.describe()["generation_config_not_used"] == rules
    assert plain.describe()["generation_config_not_used"] == {}


def test_out_of_memory_halves_the_batch_and_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    model, questions = model_of("qwen2_5_vl"), mixed()
    whole = ask(model, questions, 5)
    plain, sizes = model.model.generate, []

    def generate(**inputs: Any) -> Any:
        sizes.append(len(inputs["input_ids"]))
        if sizes[-1] > 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")
        return plain(**inputs)

    monkeypatch.setattr(model.model, "generate", generate)
    assert ask(model, questions, 5) == whole
    assert sizes == [5, 2, 2, 1]
    assert "out of memory at batch size 5 on cpu; retrying with 2" in caplog.messages
    assert set(model.prepare(questions).inputs) == {("two", "wide"), ("three", "again"), ("alone",)}


def test_preparing_in_several_threads() -> None:
    """The runner prepares in one thread and, after a failure, in its own as well."""
    questions = mixed()
    single = ask(model_of("qwen2_5_vl"), questions, 1)
    model = model_of("qwen2_5_vl")
    with ThreadPoolExecutor(4) as pool:
        prepared = list(pool.map(lambda asked: model.prepare([asked]), questions * 4))
    for asked, ready in zip(questions * 4, prepared, strict=True):
        assert model.answer([asked], ready) == [single[asked.id]]


def test_bad_samples_are_named(tmp_path: Path) -> None:
    model = model_of("qwen2_5_vl", max_new_tokens=2)
    (tmp_path / "cut.png").write_bytes(picture(96, 64).read_bytes()[:300])
    batch = [question("q0", picture(96, 64)), question("q1", tmp_path / "cut.png")]
    prepared = model.prepare(batch)  # runs in another thread: it must not raise
    with pytest.raises(ValueError, match="q1: "):
        model.answer(batch, prepared)
    assert len(model.answer(batch[:1], prepared)) == 1
    with pytest.raises(ValueError, match=r"q3: .* tokens with the answer, the model has 8192"):
        model.answer([question("q3", picture(96, 64), prompt="room " * 9000)], None)
    tagged = question("q4", picture(96, 64), prompt="<|image_pad|>?")
    with pytest.raises(ValueError, match="image_pad"):
        model.answer([tagged], None)


def test_numerics() -> None:
    asked = [question("q", picture(96, 64))]
    plain = ask(model_of("llava"), asked, 1)
    assert ask(model_of("llava", attention="eager"), asked, 1) == plain
    spread = model_of("llava", device="spread")
    assert ask(spread, asked, 1) == plain
    assert spread.describe()["device"] == "spread"
    half = model_of("llava", dtype="bfloat16")
    assert len(ask(half, asked, 1)) == 1
    assert half.model.dtype is torch.bfloat16
    assert half.describe()["dtype"] == "bfloat16"
    for options, message in (
        ({"attention": "magic"}, "--attention magic: expected one of sdpa"),
        ({"dtype": "int4"}, "--dtype int4: expected one of auto"),
        ({"device": "cuda:99"}, "--device cuda:99: "),
        ({"max_new_tokens": 0}, "--max-new-tokens 0: must be at least 1"),
    ):
        with pytest.raises(UserError, match=message):
            model_of("llava", **options)
    if not torch.cuda.is_available():
        flash = model_of("llava", attention="flash_attention_2")
        with pytest.raises(UserError, match="--attention flash_attention_2: "):
            flash.prepare(asked)


def test_stored_type_is_kept(tmp_path: Path) -> None:
    path = changed("llava", tmp_path / "m", "config.json", dtype="bfloat16")
    model = HuggingFaceModel(path, convention="unit", max_new_tokens=1)
    assert model.describe()["dtype"] == "bfloat16"
    assert model.model.dtype is torch.bfloat16


def make_adapter(family: str, out: Path, **options: Any) -> Path:
    """A LoRA adapter whose two factors are both random, so that it changes answers."""
    peft = pytest.importorskip("peft")
    base = HuggingFaceModel(folder(family), convention="unit").model
    config = peft.LoraConfig(r=4, target_modules=["q_proj", "v_proj"], **options)
    with warnings.catch_warnings():
        # PEFT reads a name that newer transformers have renamed.
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
        adapted = peft.get_peft_model(base, config)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name, value in adapted.named_parameters():
            if "lora_B" in name:
                value.copy_(torch.randn(value.shape, generator=generator) * 0.5)
    adapted.save_pretrained(str(out))
    return out


def test_an_adapter_changes_the_answers_and_is_recorded(tmp_path: Path) -> None:
    adapter = make_adapter("qwen2_5_vl", tmp_path / "tuned")
    plain, tuned = model_of("qwen2_5_vl"), model_of("qwen2_5_vl", adapter=adapter)
    before, after = ask(plain, mixed(), 5), ask(tuned, mixed(), 5)
    assert all(before[id].text != after[id].text for id in before)
    assert ask(tuned, mixed(), 1) == after
    assert tuned.name == "qwen2_5_vl+tuned"
    described = tuned.describe()
    assert described["adapter"]["path"] == str(adapter)
    assert plain.describe()["adapter"] is None
    again = make_adapter("qwen2_5_vl", tmp_path / "wider", lora_alpha=32)
    other = model_of("qwen2_5_vl", adapter=again).describe()["adapter"]["fingerprint"]
    assert other != described["adapter"]["fingerprint"]


def test_an_adapter_that_is_not_finite(tmp_path: Path) -> None:
    adapter = make_adapter("qwen2_5_vl", tmp_path / "tuned")
    file = adapter / "adapter_model.safetensors"
    weights = load_file(file)
    name = sorted(weights)[-1]
    weights[name].view(-1)[0] = float("nan")
    save_file(weights, file, {"format": "pt"})
    model = model_of("qwen2_5_vl", adapter=adapter)
    message = rf"adapter_model\.safetensors: tensor '{re.escape(name)}' is not finite"
    with pytest.raises(UserError, match=message):
        ask(model, [question("q", picture(96, 64))], 1)
    file.write_bytes(file.read_bytes()[:-5])
    with pytest.raises(UserError, match=r"adapter_model\.safetensors: .*cut short or damaged"):
        model_of("qwen2_5_vl", adapter=adapter)


def test_adapters_that_cannot_be_used(tmp_path: Path) -> None:
    adapter = make_adapter("qwen2_5_vl", tmp_path / "tuned")
    with pytest.raises(UserError, match=r"--adapter .*none: adapter_config.json is missing"):
        model_of("llava", adapter=tmp_path / "none")
    other = model_of("idefics3", adapter=adapter)
    with pytest.raises(UserError, match=r"--adapter .*tuned: does not fit this model: "):
        other.prepare([])
    with pytest.raises(UserError, match="an adapter is given with --adapter"):
        HuggingFaceModel(adapter, convention="unit")
    (adapter / "adapter_model.safetensors").rename(adapter / "adapter_model.bin")
    with pytest.raises(UserError, match=r"adapter_model\.safetensors is missing"):
        model_of("qwen2_5_vl", adapter=adapter)
    (adapter / "adapter_config.json").write_text('{"peft_type": "IA3"}')
    with pytest.raises(UserError, match="peft_type is 'IA3'; expected 'LORA'"):
        model_of("qwen2_5_vl", adapter=adapter)


def test_created_by_the_rules_of_the_registry() -> None:
    options = {
        "max_new_tokens": 3, "seed": 0, "convention": "pixel", "adapter": None, "dtype": "float32",
    }  # fmt: skip
    model = HuggingFaceModel.create(str(folder("llava")), options)
    assert (model.name, model.convention) == ("llava", "pixel")
    assert "_model" not in vars(model)  # a run with nothing left to ask never loads the weights
    model.prepare([])
    assert "_model" in vars(model)
    model.close()
    assert "_model" not in vars(model)
    assert json.dumps(model.describe())
    with pytest.raises(UserError, match="name the model, hf:FOLDER or hf:ORG/NAME"):
        HuggingFaceModel.create(None, {})
