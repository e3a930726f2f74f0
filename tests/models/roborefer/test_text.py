"""Prompts, tokenization and dynamic tiles against the reference fixture."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from helpers.roborefer_fixture import CHECKPOINT, expected_json, image_path, samples, torch
from x3spatial.models.roborefer import chat

RGB = expected_json("tokenization_rgb.json")
RGBD = [entry for entry in expected_json("tokenization_rgbd.json") if "text" in entry]


def _count(record: dict[str, Any]) -> int:
    image = record.get("image", [])
    return 1 if isinstance(image, str) else len(image)


@pytest.mark.parametrize("wanted", RGB["records"], ids=lambda entry: entry["id"])
def test_records_become_upstreams_text_and_ids(processor: Any, wanted: dict[str, Any]) -> None:
    record = samples()[wanted["id"]]
    turns = record["conversations"]
    if "image" in record:  # upstream prepares records with images only
        turns = chat.preprocess_rgbd(turns, _count(record))
    assert turns == wanted["conversation_after_preprocess_rgbd"]
    text = chat.render_chat(chat.to_messages(turns))
    assert text == wanted["rendered_text"]
    assert processor.tokenize(text) == wanted["input_ids"]
    prompt = chat.render_chat(chat.to_messages(turns[:1]), add_generation_prompt=True)
    assert processor.tokenize(prompt) == wanted.get(
        "generation_prompt_ids", processor.tokenize(prompt)
    )


@pytest.mark.parametrize("wanted", RGBD, ids=lambda entry: entry["id"])
def test_rgbd_records(processor: Any, wanted: dict[str, Any]) -> None:
    record = samples("samples_rgbd.json")[wanted["id"]]
    turns = chat.preprocess_rgbd(record["conversations"], _count(record), depth=True)
    text = chat.render_chat(chat.to_messages(turns))
    assert text == wanted["text"]
    assert processor.tokenize(text) == wanted["input_ids"]


@pytest.mark.parametrize("case", ["t1_visible", "t1_not_visible", "concat_single_string"])
def test_a_question_is_the_prompt_of_generation(processor: Any, case: str) -> None:
    record = samples()[case]
    text = chat.question_text(record["conversations"][0]["value"], _count(record))
    assert processor.tokenize(text) == expected_json("generation_rgb.json")[case]["prompt_ids"]


def test_an_rgbd_question_is_the_prompt_of_generation(processor: Any) -> None:
    case = expected_json("tokenization_rgbd.json")[-1]
    record = samples("samples_rgbd.json")["rgbd_one"]
    text = chat.question_text(record["conversations"][0]["value"], 1, depth=True)
    assert processor.tokenize(text) == case["prompt_ids"]


def _corner_cases() -> list[dict[str, Any]]:
    return [case for case in expected_json("label_corner_cases.json") if "input_ids" in case]


@pytest.mark.parametrize("case", _corner_cases(), ids=lambda case: case["id"])
def test_ids_of_the_corner_cases(processor: Any, case: dict[str, Any]) -> None:
    text = chat.render_chat(chat.to_messages(case["conversation"]))
    assert processor.tokenize(text) == case["input_ids"]


def test_a_system_turn_is_refused() -> None:
    (case,) = (c for c in expected_json("label_corner_cases.json") if "error" in c)
    with pytest.raises(ValueError, match="'system'"):
        chat.to_messages(case["conversation"])


@pytest.mark.parametrize("files", ["tokenizer.json", "vocab.json and merges.txt"])
def test_tokenizer_pairs(tmp_path: Path, files: str) -> None:
    """Published folders were saved by the slow tokenizer: they may have no tokenizer.json."""
    from x3spatial.models.roborefer import load_processor

    folder = Path(shutil.copytree(CHECKPOINT, tmp_path / "checkpoint"))
    unused = ["vocab.json", "merges.txt"] if files == "tokenizer.json" else ["tokenizer.json"]
    for name in unused:
        (folder / "llm" / name).unlink()
    processor = load_processor(folder)
    for pair in expected_json("tokenizer_pairs.json"):
        assert processor.tokenize(pair["text"]) == pair["ids"], pair["text"]
    special = RGB["special"]
    tokenizer = processor.tokenizer
    assert tokenizer.convert_tokens_to_ids("<image>") == special["media_token_ids"]["image"]
    assert tokenizer.convert_tokens_to_ids("<vila/sentinel>") == special["sentinel_id"]
    assert tokenizer.eos_token_id == special["eos_id"]
    assert tokenizer.bos_token_id == special["bos_id"]
    assert tokenizer.pad_token_id == special["pad_id"]
    assert len(tokenizer) == special["len"]


def test_stop_ids(processor: Any) -> None:
    from x3spatial.models.roborefer.tokens import stop_ids

    assert stop_ids(processor.tokenizer) == RGB["special"]["stop_token_ids"]


@pytest.mark.parametrize("case", expected_json("dynamic_tiles.json"), ids=lambda c: c["image"])
def test_dynamic_tiles(case: dict[str, Any]) -> None:
    from x3spatial.models.local.image_loading import load_rgb
    from x3spatial.models.roborefer import load_processor

    processor = load_processor(CHECKPOINT, image_aspect_ratio="dynamic")
    tiles = processor.image_processor.pixels(load_rgb(image_path(case["image"])))
    assert len(tiles) == case["tiles"]
    means = [round(float(tile.mean()), 6) for tile in tiles]
    assert means == pytest.approx(case["tile_means"], abs=2e-6)
    text = chat.expand_tiles(chat.preprocess_rgbd([{"from": "human", "value": "hello"}], 1)[0]["value"],
                             chat.IMAGE_TAG, [len(tiles)])  # fmt: skip
    assert text == case["prompt"]
    inputs = processor(images=image_path(case["image"]), text="<image>\nhello")
    image_id = RGB["special"]["media_token_ids"]["image"]
    assert int((inputs["input_ids"] == image_id).sum()) == 9 * case["tiles"]
    assert inputs["image_indices"].tolist() == [list(range(case["tiles"]))]


def test_tiles_of_several_images_stay_with_their_image() -> None:
    # By the rule of the reference: the i-th tag becomes one line per tile of image i.
    text = chat.expand_tiles("<image>\n<image>\nq", "<image>", [2, 1])
    assert text == "<image>\n<image>\n\n<image>\n\nq"
    with pytest.raises(ValueError, match="2 <image> for 1"):
        chat.expand_tiles("<image>\n<image>\nq", "<image>", [1])


def test_tile_ties_go_to_the_finer_grid_only_for_large_images() -> None:
    from x3spatial.models.roborefer.images import tile_grid

    small = tile_grid(100, 100, tile=100, min_tiles=1, max_tiles=4)
    assert small == (1, 1)
    assert tile_grid(150, 150, tile=100, min_tiles=1, max_tiles=4) == (2, 2)
    assert tile_grid(400, 100, tile=100, min_tiles=1, max_tiles=12) == (4, 1)


def test_pad_mode_centres_on_the_mean_colour() -> None:
    from PIL import Image

    from x3spatial.models.roborefer.images import RoboReferImageProcessor

    images = RoboReferImageProcessor(size={"height": 8, "width": 8}, image_aspect_ratio="pad")
    (picture,) = images.crops(Image.new("RGB", (8, 4), (255, 0, 0)))
    assert picture.size == (8, 8)
    rows = [picture.getpixel((3, y)) for y in range(8)]
    assert rows == [(127, 127, 127)] * 2 + [(255, 0, 0)] * 4 + [(127, 127, 127)] * 2


def test_resizing_never_depends_on_pillows_choice_of_order() -> None:
    import numpy as np
    from PIL import Image

    from x3spatial.models.roborefer.images import resize

    image = Image.open(image_path("view_b"))  # grows in width, shrinks in height
    columns = image.resize((112, image.height), Image.Resampling.BICUBIC)
    wanted = columns.resize((112, 112), Image.Resampling.BICUBIC)
    assert np.array_equal(np.asarray(resize(image, 112, 112)), np.asarray(wanted))


def test_text_and_media_must_match(processor: Any) -> None:
    view = image_path("view_a")
    with pytest.raises(ValueError, match="text 0: 2 <image> in the text for 1"):
        processor(images=[view], text="<image><image>")
    with pytest.raises(ValueError, match="text 1: 0 <image> in the text for 1"):
        processor(images=[[view], [view]], text=["<image>", "none"])
    with pytest.raises(ValueError, match=r"1 <depth> in the text for 0"):
        processor(images=[view], text="<image> <depth>")
    with pytest.raises(ValueError, match="3 media for 2 <image>"):
        processor(images=[view] * 3, text=["<image>", "<image>"])


def test_a_flat_list_is_taken_in_the_order_of_the_tags(processor: Any) -> None:
    views = [image_path(name) for name in ("view_a", "view_b", "exact_112")]
    flat = processor(images=views, text=["<image><image>", "<image>"])
    nested = processor(images=[views[:2], views[2:]], text=["<image><image>", "<image>"])
    assert flat["image_indices"].tolist() == [[0, 1], [2, -1]]
    for name, value in nested.items():
        assert torch.equal(flat[name], value)


def test_the_chat_template_renders_the_same_text(processor: Any) -> None:
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Where?"}]},
        {"role": "assistant", "content": "[(0.1, 0.2)]"},
        {"role": "user", "content": "And now?"},
    ]
    plain = [{**m, "content": "<image>\nWhere?"} if n == 0 else m for n, m in enumerate(messages)]
    for opened in (False, True):
        text = processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=opened)
        assert text == chat.render_chat(plain, add_generation_prompt=opened)
