"""The model: batches, decoding, options, depth, and running out of memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from helpers.roborefer_fixture import CHECKPOINT, FIXTURE, expected_json, image_path, samples, torch
from x3spatial.errors import UserError
from x3spatial.models.base import as_output
from x3spatial.models.local.runtime import run_halving
from x3spatial.models.roborefer.model import RoboReferModel
from x3spatial.models.roborefer.tiny import make_tiny
from x3spatial.tasks.question import Question

PROMPT = "Point to the same object in the second image. Answer with [(x, y)], or NOT_VISIBLE."
VIEWS = ("view_a", "view_b", "exact_112", "rgba_small", "grey_L", "concat_ab")


def question(
    number: int, images: list[str | Path], prompt: str = PROMPT, **fields: Any
) -> Question:
    paths = tuple(image_path(image) if isinstance(image, str) else image for image in images)
    task = fields.pop("task", "t1_multi")
    return Question(f"q{number}", task, paths, prompt, "where?", **fields)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny(out=tmp_path_factory.mktemp("tiny") / "tiny-model", seed=1)


@pytest.fixture(scope="module")
def mixed() -> list[Question]:
    """48 records: no, one, two or three images, prompts from a word to a page, pictures shared."""
    random = np.random.default_rng(5)
    words = PROMPT.split()
    records = []
    for number in range(48):
        images: list[str | Path] = [VIEWS[i] for i in random.integers(0, len(VIEWS), number % 4)]
        length = int(random.integers(1, 60))
        prompt = " ".join(random.choice(words) for _ in range(length))
        records.append(question(number, images, prompt))
    return records


def answers(model: RoboReferModel, questions: list[Question], batch: int) -> list[str]:
    texts: list[str] = []
    for start in range(0, len(questions), batch):
        part = questions[start : start + batch]
        texts += [as_output(answer).text for answer in model.answer(part, model.prepare(part))]
    return texts


def ids(model: RoboReferModel, questions: list[Question], batch: int) -> list[list[int]]:
    """The new token ids of every question, padding cut off."""
    rows: list[list[int]] = []
    plain = model.model.generate
    pad = model.processor.tokenizer.pad_token_id

    def recording(**inputs: Any) -> Any:
        output = plain(**inputs)
        for row in output[:, inputs["input_ids"].shape[1] :].tolist():
            while row and row[-1] == pad:
                row.pop()
            rows.append(row)
        return output

    model.model.generate = recording
    try:
        answers(model, questions, batch)
    finally:
        del model.model.generate
    return rows


@pytest.mark.parametrize("mode", ["resize", "pad", "dynamic"])
def test_batched_answers_are_those_of_one_at_a_time(
    tiny: Path, mixed: list[Question], mode: str
) -> None:
    records = mixed if mode == "resize" else mixed[:12]
    model = RoboReferModel(tiny, image_aspect_ratio=mode, max_new_tokens=12)
    single = ids(model, records, 1)
    assert len({tuple(row) for row in single}) > len(records) // 2  # not all the same noise
    for batch in (5, 16) if mode == "resize" else (6,):
        assert ids(model, records, batch) == single


def test_answers_of_the_reference() -> None:
    """The texts that upstream's own greedy generation gave, all in one batch."""
    cases = {
        k: v for k, v in expected_json("generation_rgb.json").items() if k != "messy_multi_turn"
    }
    model = RoboReferModel(CHECKPOINT, attention="eager", max_new_tokens=16)
    records = [samples()[case] for case in cases]
    asked = [
        Question(
            record["id"],
            "t1_multi",
            tuple(FIXTURE / p for p in np.atleast_1d(record["image"])),
            record["conversations"][0]["value"],
            "",
        )
        for record in records
    ]
    answers = [as_output(answer) for answer in model.answer(asked, None)]
    assert [answer.text for answer in answers] == [case["text"].strip() for case in cases.values()]


def test_a_picture_of_several_questions_is_decoded_and_encoded_once(tiny: Path) -> None:
    model = RoboReferModel(tiny, max_new_tokens=2)
    anchor = [question(n, ["view_a", other]) for n, other in enumerate(VIEWS[1:5])]
    prepared = model.prepare(anchor)
    assert len(prepared.pixels) == 5
    seen: list[int] = []
    hook = model.model.vision_tower.register_forward_hook(lambda _m, a, _o: seen.append(len(a[0])))
    model.answer(anchor, prepared)
    hook.remove()
    assert seen == [5]


@pytest.fixture
def small_memory(monkeypatch: pytest.MonkeyPatch, tiny: Path) -> Iterator[Any]:
    """A model that has room for three questions at once."""
    model = RoboReferModel(tiny, max_new_tokens=3)
    plain, sizes = model.generate, []

    def generate(questions: Any, ready: Any) -> list[Any]:
        sizes.append(len(questions))
        if len(questions) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")
        return plain(questions, ready)

    monkeypatch.setattr(model, "generate", generate)
    yield model, sizes


def test_out_of_memory_halves_the_batch_and_says_so(
    small_memory: Any, mixed: list[Question], caplog: pytest.LogCaptureFixture
) -> None:
    model, sizes = small_memory
    batch = mixed[:10]
    assert len(model.answer(batch, None)) == 10
    assert sizes == [10, 5, 2, 2, 2, 2, 2]
    assert caplog.messages == [
        "out of memory at batch size 10 on cpu; retrying with 5",
        "out of memory at batch size 5 on cpu; retrying with 2",
    ]
    sizes.clear()
    model.answer(batch[:4], None)
    assert sizes == [2, 2]  # remembered for the batches that follow


def test_a_single_question_that_does_not_fit_raises(mixed: list[Question]) -> None:
    def work(_: Any) -> list[str]:
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")

    with pytest.raises(RuntimeError, match="can't allocate"):
        run_halving(work, mixed[:2], None, lambda *_: None)

    def broken(_: Any) -> list[str]:
        raise RuntimeError("something else")

    with pytest.raises(RuntimeError, match="something else"):
        run_halving(broken, mixed[:4], None, lambda *_: None)


def test_bad_samples_are_named(tiny: Path, tmp_path: Path) -> None:
    model = RoboReferModel(tiny, max_new_tokens=2)
    (tmp_path / "cut.png").write_bytes(image_path("view_a").read_bytes()[:300])
    batch = [question(0, ["view_a"]), question(1, ["view_a", tmp_path / "cut.png"])]
    prepared = model.prepare(batch)  # runs in another thread: it must not raise
    with pytest.raises(ValueError, match="q1: "):
        model.answer(batch, prepared)
    assert len(model.answer(batch[:1], prepared)) == 1
    missing = question(2, [tmp_path / "none.png"])
    with pytest.raises(ValueError, match=r"q2: .*none.png"):
        model.answer([missing], None)
    long = question(3, ["view_a"], "room " * 5000)
    with pytest.raises(ValueError, match=r"q3: .* the model has 4096"):
        model.answer([long], None)


def test_media_tags_in_a_prompt_do_no_harm(tiny: Path) -> None:
    """As in training: tags of the prompt itself are removed before the right number is put in front."""
    model = RoboReferModel(tiny, max_new_tokens=8)
    plain = question(0, ["view_a"], "Where is it?")
    tagged = question(1, ["view_a"], "<image>\nWhere is it? <depth>")
    assert model.answer([plain], None) == model.answer([tagged], None)


def test_greedy_whatever_the_checkpoint_says(copied: Path) -> None:
    file = copied / "llm" / "generation_config.json"
    rules = {
        "repetition_penalty": 5.0, "do_sample": True, "temperature": 3.0, "no_repeat_ngram_size": 1,
        "min_new_tokens": 9, "eos_token_id": [509, 3],
    }  # fmt: skip
    file.write_text(json.dumps({**json.loads(file.read_text()), **rules}))
    asked = [question(0, ["view_a", "view_b"])]
    plain = RoboReferModel(CHECKPOINT, max_new_tokens=16)
    odd = RoboReferModel(copied, max_new_tokens=16)
    assert odd.answer(asked, None) == plain.answer(asked, None)
    described = odd.describe()
    assert described["generation_config_not_used"] == rules
    assert described["decoding"] == {
        "do_sample": False, "num_beams": 1, "repetition_penalty": 1.0, "max_new_tokens": 16,
        "eos_token_id": [509],
    }  # fmt: skip
    assert plain.describe()["generation_config_not_used"] == {}
    assert json.dumps(described)


def test_describe_tells_checkpoints_apart(tiny: Path, tmp_path: Path) -> None:
    same = make_tiny(out=tmp_path / "same", seed=1)
    other = make_tiny(out=tmp_path / "other", seed=2)
    prints = [RoboReferModel(p).describe()["fingerprint"] for p in (tiny, same, other)]
    assert prints[0] != prints[2]
    for file in sorted(tiny.rglob("*.safetensors")):
        assert file.read_bytes() == (same / file.relative_to(tiny)).read_bytes()


def test_options_that_cannot_be_met(tiny: Path, tmp_path: Path) -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        ({"chat_template": "llama_3"}, "--chat-template llama_3: not supported"),
        ({"image_aspect_ratio": "dynamic_s2"}, "--image-aspect-ratio dynamic_s2: not supported"),
        ({"attention": "magic"}, "--attention magic: expected one of sdpa"),
        ({"dtype": "int4"}, "--dtype int4: expected one of auto"),
        ({"device": "cuda:99"}, "--device cuda:99: "),
        ({"device": "abacus"}, "--device abacus: not a device"),
        ({"max_new_tokens": 0}, "--max-new-tokens 0: must be at least 1"),
        ({"depth": tmp_path / "no"}, "--depth .*no: no such folder"),
    ]
    for options, message in cases:
        with pytest.raises(UserError, match=message):
            RoboReferModel(tiny, **options)
    flat = make_tiny(out=tmp_path / "flat", depth=False)
    with pytest.raises(UserError, match="has no depth projector"):
        RoboReferModel(flat, depth=tmp_path)


def test_created_by_the_rules_of_the_registry(tiny: Path) -> None:
    options = {"max_new_tokens": 3, "seed": 0, "dtype": "bfloat16", "depth": None}
    model = RoboReferModel.create(str(tiny), options)
    assert model.name == "tiny-model"
    described = model.describe()
    assert (described["dtype"], described["decoding"]["max_new_tokens"]) == ("bfloat16", 3)
    assert "_model" not in vars(model)  # a run with nothing left to ask never loads the weights
    model.prepare([question(0, ["view_a"])])
    assert "_model" in vars(model)
    model.close()
    assert "_model" not in vars(model)
    with pytest.raises(UserError, match="name the checkpoint folder, roborefer:PATH"):
        RoboReferModel.create(None, {})


@pytest.fixture
def rooms(tmp_path: Path) -> tuple[Path, Path]:
    """A data root of one object and a folder of depth maps that mirrors it."""
    folders = [
        tmp_path / name / "validation" / "s1" / "uid_7" for name in ("data", "depth", "marked")
    ]
    for folder in folders:
        folder.mkdir(parents=True)
    view = Image.open(image_path("view_a"))
    for name in ("01_f1_original", "02_f2_original", "02_f2_inpainted"):
        view.save(folders[0] / f"{name}.png")
    view.save(folders[2] / "01_f1_marked.png")
    ramp = np.tile(np.linspace(500, 4000, 140, dtype=np.uint16), (100, 1))
    for name in ("01_f1", "02_f2"):
        Image.fromarray(ramp).save(folders[1] / f"{name}_depth.png")
    return tmp_path, folders[0]


def test_depth_maps_mirror_the_data_root(tiny: Path, rooms: tuple[Path, Path]) -> None:
    root, views = rooms
    model = RoboReferModel(tiny, depth=root / "depth", max_new_tokens=8)
    marked = root / "marked/validation/s1/uid_7/01_f1_marked.png"
    asked = question(0, [marked, views / "02_f2_original.png"])
    prepared = model.prepare([asked])
    assert [p.name for p in prepared.depths["q0"]] == ["01_f1_depth.png", "02_f2_depth.png"]
    text = model.processor.tokenizer.decode(prepared.ids["q0"])
    assert text.count("<image>") == text.count("<depth>") == 2 * 9
    with_depth = model.answer([asked], prepared)
    assert with_depth != RoboReferModel(tiny, max_new_tokens=8).answer([asked], None)
    changed = question(
        1, [views / "02_f2_original.png", views / "02_f2_inpainted.png"], task="t2b_multi"
    )
    names = [p.name for p in model.prepare([changed]).depths["q1"]]
    assert names == ["02_f2_depth.png", "02_f2_depth.png"]
    assert model.describe()["depth"] == str(root / "depth")


def test_depth_refusals(tiny: Path, rooms: tuple[Path, Path]) -> None:
    root, views = rooms
    model = RoboReferModel(tiny, depth=root / "depth", max_new_tokens=2)
    with pytest.raises(UserError, match="--depth: q0 is a concat sample"):
        model.prepare([question(0, ["concat_ab"], task="t1_concat")])
    (views / "03_f3_original.png").write_bytes((views / "01_f1_original.png").read_bytes())
    assert "t1_concat" not in (model.tasks or ())
    with pytest.raises(
        ValueError, match=r"q0: .*03_f3_depth.png: no such depth map \(for .*03_f3_"
    ):
        model.answer([question(0, [views / "03_f3_original.png"])], None)
    with pytest.raises(ValueError, match=r"q0: .*view_a.png: --depth needs images named"):
        model.answer([question(0, ["view_a"])], None)


def test_millimetres_become_inverse_depth(tmp_path: Path) -> None:
    from x3spatial.models.roborefer.images import load_depth

    def read(values: list[list[int]], dtype: Any = np.uint16) -> list[list[int]]:
        Image.fromarray(np.array(values, dtype)).save(tmp_path / "d.png")
        picture = np.asarray(load_depth(tmp_path / "d.png"))
        assert picture.dtype == np.uint8
        assert picture.shape[2] == 3
        assert (picture == picture[..., :1]).all()
        return [[int(v) for v in row] for row in picture[..., 0]]

    # 1000 mm -> 1, 2000 mm -> 1/2, 4000 mm -> 1/4; scaled: 255, 255/3, 0.
    assert read([[1000, 2000, 4000]]) == [[255, 85, 0]]
    assert read([[0, 1000, 4000, 0]]) == [[0, 255, 0, 0]]  # 0 is "nothing measured"
    assert read([[700, 700], [700, 0]]) == [[0, 0], [0, 0]]
    assert read([[0, 0]]) == [[0, 0]]
    assert read([[3, 200]], np.uint8) == [[3, 200]]  # 8 bits: already a picture
