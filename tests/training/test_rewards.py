"""Rewards are the scores of x3 score, from any form in which a table holds a mask."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import x3spatial as x3
from helpers.export_sets import four_records
from helpers.task_sets import box_mask, make_record, write_set
from helpers.tiny_llava import tiny_llava, tiny_processor
from x3spatial.conventions.registry import CONVENTIONS
from x3spatial.errors import UserError
from x3spatial.exporters.hf_datasets import HfDatasets
from x3spatial.exporters.run import export
from x3spatial.formats.task_file import TaskRecord
from x3spatial.io.images import encode_mask_png
from x3spatial.training.rewards import (
    NEAR,
    box_centre_in_mask,
    box_iou,
    hit_at_mask,
    near_mask,
)

MASK = box_mask(32, 24, 8, 6, 15, 11)  # x in [0.25, 0.5), y in [0.25, 0.5)
HIT, MISS = "[(0.3, 0.3)]", "[(0.6, 0.3)]"
TEXTS = [HIT, MISS, "NOT_VISIBLE", f"{HIT} or NOT_VISIBLE", "[(1.4, 0.2)]", "no idea", ""]


def in_palette(mask: Any) -> Image.Image:
    """A mask whose object has index 0 of the palette, with a colour, and whose ground has index 1, black."""
    image = Image.fromarray(np.where(mask, 0, 1).astype(np.uint8), "P")
    image.putpalette([0, 0, 200, 0, 0, 0])
    return image


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_forms_of_masks(tmp_path: Path) -> None:
    png = encode_mask_png(MASK)
    (tmp_path / "mask.png").write_bytes(png)
    forms = [
        png,
        str(tmp_path / "mask.png"),
        tmp_path / "mask.png",
        {"bytes": png, "path": None},
        {"bytes": None, "path": str(tmp_path / "mask.png")},
        Image.open(io.BytesIO(png)),
        Image.fromarray(MASK),
        Image.fromarray(MASK.astype(np.uint16)),
        in_palette(MASK),
        Image.merge("RGBA", [Image.fromarray(MASK.astype(np.uint8)), *[Image.new("L", (32, 24))] * 2,
                             Image.new("L", (32, 24), 255)]),
        MASK,
        np.stack([MASK * 0, MASK * 0, MASK * 3], axis=2),
    ]  # fmt: skip
    count = len(forms)
    assert hit_at_mask([HIT] * count, forms, ["[(0.3, 0.4)]"] * count) == [1.0] * count
    assert hit_at_mask([MISS] * count, forms, ["[(0.3, 0.4)]"] * count) == [0.0] * count


def test_completions_of_conversations() -> None:
    talks: list[Any] = [
        HIT,
        [{"role": "assistant", "content": HIT}],
        [{"role": "assistant", "content": [{"type": "text", "text": HIT}]}],
        [{"role": "assistant", "content": MISS}, {"role": "assistant", "content": HIT}],
        [],
        [{"role": "assistant", "content": None}],
    ]
    rewards = hit_at_mask(talks, [MASK] * 6, ["[(0.3, 0.4)]"] * 6, prompts=["?"] * 6, id=["a"] * 6)
    assert rewards == [1.0, 1.0, 1.0, 1.0, 0.0, 0.0]


def test_boxes_and_points_have_rewards_of_their_own() -> None:
    for reward in (hit_at_mask, near_mask):
        with pytest.raises(UserError, match="qwen3-box-1000 answers with boxes; use box_iou"):
            reward(["[]"], [None], ["NOT_VISIBLE"], convention="qwen3-box-1000")
    for reward in (box_iou, box_centre_in_mask):
        with pytest.raises(UserError, match="qwen3-1000 answers with points; use hit_at_mask"):
            reward(["[]"], [None], ["NOT_VISIBLE"], convention="qwen3-1000")


def boxed(*corners: float) -> str:
    return f'[{{"bbox_2d": {list(corners)}}}]'


def test_rewards_of_boxes_are_their_scores() -> None:
    right = boxed(250, 250, 500, 500)
    said: list[tuple[str, float, float]] = [
        (right, 1.0, 1.0),
        (boxed(250, 250, 500, 375), 0.5, 1.0),
        (boxed(500, 500, 250, 250), 1.0, 1.0),  # swapped corners
        (boxed(0, 0, 1000, 1000), 1 / 16, 0.0),
        (boxed(500, 250, 750, 500), 0.0, 0.0),
        ('[{"point_2d": [300, 300]}]', 0.0, 0.0),  # a point is no box
        ("NOT_VISIBLE", 0.0, 0.0),
        (f"{right} or NOT_VISIBLE", 0.0, 0.0),
    ]
    texts, count = [text for text, _, _ in said], len(said)
    logged: dict[str, float] = {}
    rewards = box_iou(texts, [MASK] * count, [right] * count, log_metric=logged.__setitem__)
    assert rewards == pytest.approx([iou for _, iou, _ in said])
    assert logged["mean_iou"] == pytest.approx(sum(rewards) / count)
    assert logged["false_not_visible_rate"] == 2 / count and "hit_at_mask" not in logged
    assert box_centre_in_mask(texts, [MASK] * count, [right] * count) == [c for _, _, c in said]
    hidden = box_iou(["[]", right], [None] * 2, ["NOT_VISIBLE"] * 2, task="t2a_multi")
    assert hidden == [1.0, 0.0]
    # Side by side a box is written in the whole image, and judged in its right half.
    concat = [boxed(625, 250, 750, 500), boxed(125, 250, 250, 500)]
    found = box_iou(concat, [MASK] * 2, [concat[0]] * 2, task="t1_concat")
    assert found == pytest.approx([1.0, 0.0])


@pytest.mark.parametrize(
    "convention", [name for name in HfDatasets.points() if CONVENTIONS[name].answers == "point"]
)
def test_rewards_are_the_scores_of_an_export(convention: str, tmp_path: Path) -> None:
    """The columns of an export give what ``score_text`` gives on the record, in every convention."""
    datasets = pytest.importorskip("datasets")
    records = four_records(tmp_path / "data")
    sized = [
        replace(record, image_sizes=((64, 24),) if record.is_concat else ((32, 24), (32, 24)))
        for record in records
    ]
    source = write_set(tmp_path / "mixed.json", sized)
    export(source, tmp_path / "out", "hf-datasets", point_format=convention)
    rows = datasets.load_from_disk(str(tmp_path / "out/mixed"))
    columns: dict[str, Any] = {name: list(rows[name]) for name in rows.column_names}
    gold = columns["answer"]
    assert hit_at_mask(gold, **columns) == near_mask(gold, **columns) == [1.0] * 4
    for said in (gold[0], gold[1], gold[2]):
        expected = [right(record, said, convention) for record in sized]
        assert hit_at_mask([said] * 4, **columns) == expected


def right(record: TaskRecord, text: str, convention: str) -> float:
    entry = x3.score_text(record, text, convention=convention)
    if entry.gt.is_not_visible:
        return float(bool(entry.pred_parsed.is_not_visible))
    return float(entry.hit_mask or 0)


def test_absent_tokens_are_those_of_the_task() -> None:
    tokens = ["NOT_VISIBLE", "NO_CHANGE"]
    assert hit_at_mask(tokens, [None] * 2, ["NOT_VISIBLE"] * 2) == [1.0, 0.0]
    assert hit_at_mask(tokens, [None] * 2, ["NO_CHANGE"] * 2, "t2b_unchanged") == [0.0, 1.0]
    removed = hit_at_mask([HIT, *tokens], [MASK] * 3, ["NOT_VISIBLE"] * 3, "t1_counterfactual")
    assert removed == [0.0, 1.0, 0.0]


def test_refusal_is_logged_beside_the_reward() -> None:
    logged: dict[str, float] = {}
    said = [HIT, "NOT_VISIBLE", MISS, "NOT_VISIBLE"]
    gold = ["[(0.3, 0.4)]"] * 3 + ["NOT_VISIBLE"]
    hit_at_mask(said, [MASK] * 4, gold, log_metric=logged.__setitem__)
    assert logged == {
        "hit_at_mask": pytest.approx(1 / 3),
        "false_not_visible_rate": pytest.approx(1 / 3),
        "not_visible_accuracy": 1.0,
    }
    logged.clear()
    near_mask([HIT], [MASK], gold[:1], log_metric=logged.__setitem__)
    assert logged == {"hit_at_mask": 1.0, "false_not_visible_rate": 0.0}


def test_near_misses() -> None:
    def reward(text: str, task: str = "t1_multi", gold: str = "[(0.3, 0.4)]") -> float:
        return near_mask([text], [MASK], [gold], task)[0]

    assert reward(HIT) == 1.0
    assert reward("[(0.5625, 0.3)]") == pytest.approx(0.5 * (1 - 0.0625 / NEAR))
    assert reward("[(0.8, 0.9)]") == 0.0  # further than NEAR
    assert reward("[(1.2, 0.3)]") == reward("no idea") == reward("NOT_VISIBLE") == 0.0
    concat = reward("[(0.78125, 0.3)]", "t1_concat", "[(0.65, 0.4)]")
    assert concat == pytest.approx(0.5 * (1 - 0.0625 / NEAR))
    assert reward("[(0.3, 0.3)]", "t1_concat", "[(0.65, 0.4)]") == 0.0  # the left half
    assert near_mask(["NOT_VISIBLE", MISS], [MASK * 0] * 2, ["NOT_VISIBLE"] * 2) == [1.0, 0.0]


@given(st.floats(-0.5, 1.5), st.floats(-0.5, 1.5))
def test_a_miss_is_never_worth_half_a_hit(x: float, y: float) -> None:
    said = [f"[({x:.6f}, {y:.6f})]"]
    (hit,) = hit_at_mask(said, [MASK], ["[(0.3, 0.4)]"])
    (near,) = near_mask(said, [MASK], ["[(0.3, 0.4)]"])
    assert near == 1.0 if hit else 0.0 <= near <= 0.5


def test_errors_name_the_row(tmp_path: Path) -> None:
    gold = ["[(0.3, 0.4)]"] * 2
    with pytest.raises(UserError, match="query_mask of row 2: there is none"):
        hit_at_mask([HIT] * 2, [MASK, None], gold)
    (tmp_path / "mask.png").write_bytes(b"x")
    with pytest.raises(UserError, match="query_mask of row 1: "):
        hit_at_mask([HIT], [str(tmp_path / "mask.png")], gold[:1])
    with pytest.raises(UserError, match="task 't9' of row 1: known are t1_multi"):
        hit_at_mask([HIT], [MASK], gold[:1], "t9")
    with pytest.raises(UserError, match="different lengths"):
        hit_at_mask([HIT], [MASK] * 2, gold)
    with pytest.raises(UserError, match="row 1: the ground truth 'there' is no answer"):
        hit_at_mask([HIT], [MASK], ["there"])
    with pytest.raises(UserError, match="pixel_sizes"):
        hit_at_mask(["[(3, 4)]"], [MASK], ["[(3, 4)]"], convention="pixel")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("paths", ["absolute", "embed"])
def test_two_steps_of_grpo(paths: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """TRL's own GRPOTrainer hands the columns of the export to both rewards."""
    datasets = pytest.importorskip("datasets")
    trl = pytest.importorskip("trl")
    pytest.importorskip("transformers")
    records = [
        make_record(tmp_path / "data", f"{n:02d}", box_mask(32, 24, 4, 5, 11, 10) & (n != 3))
        for n in range(4)
    ]
    source = write_set(tmp_path / "data/t1_train_multi.json", records)
    export(source, tmp_path / "out", "trl", paths=paths)
    rows = datasets.load_dataset(
        "parquet", data_files=str(tmp_path / "out/t1_train_multi.parquet"), split="train",
        cache_dir=str(tmp_path / "cache"),
    )  # fmt: skip
    seen: list[tuple[list[Any], dict[str, Any]]] = []

    def watched(completions: list[Any], **columns: Any) -> list[float]:
        seen.append((completions, columns))
        return hit_at_mask(completions, **columns)

    processor = tiny_processor()
    image = processor.tokenizer.convert_tokens_to_ids("<image>")
    trainer = trl.GRPOTrainer(
        model=tiny_llava(processor),
        processing_class=processor,
        reward_funcs=[watched, near_mask],
        train_dataset=rows,
        args=trl.GRPOConfig(
            output_dir=str(tmp_path / "run"), max_steps=2, per_device_train_batch_size=4,
            num_generations=4, max_completion_length=8, use_cpu=True, bf16=False, report_to="none",
            save_strategy="no", logging_steps=1, remove_unused_columns=False,
            # Random weights may say it, and an answer has no image.
            generation_kwargs={"suppress_tokens": [image]},
        ),
    )  # fmt: skip
    assert np.isfinite(trainer.train().training_loss)
    assert seen
    by_id = {record.id: record for record in records}
    for completions, columns in seen:
        assert len(completions) == 4 and {"query_mask", "answer", "task"} <= columns.keys()
        for id, answer, mask in zip(
            columns["id"], columns["answer"], columns["query_mask"], strict=True
        ):
            assert answer == by_id[id].answer
            assert bool((np.asarray(mask) > 0).any()) == (answer != "NOT_VISIBLE")
        gold = [[{"role": "assistant", "content": answer}] for answer in columns["answer"]]
        assert hit_at_mask(gold, **{**columns, "log_metric": None}) == [1.0] * 4
    logged = {name for entry in trainer.state.log_history for name in entry}
    assert {"rewards/near_mask/mean", "hit_at_mask"} <= logged
