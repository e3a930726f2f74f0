"""Runs: parity with the reference, freezing, accumulation, what is written, what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from .common import (
    CHECKPOINT,
    FIXTURE,
    RGB,
    expected,
    history,
    load_file,
    options,
    records,
    torch,
    weights,
    write_data,
)


def run(*args: Any, **more: Any) -> int:
    from x3spatial.training.sft import sft

    return sft(options(*args, **more))


@pytest.fixture
def gradients(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The gradients at each optimizer step of runs in this process, before clipping."""
    from x3spatial.training.trainer import SpatialTrainer

    seen: list[dict[str, Any]] = []
    real = SpatialTrainer._get_grad_norm

    def spy(self: Any, model: Any, grad_norm: Any = None) -> Any:
        seen.append(
            {
                name: None if value.grad is None else value.grad.clone()
                for name, value in self.model.named_parameters()
            }
        )
        return real(self, model, grad_norm)

    monkeypatch.setattr(SpatialTrainer, "_get_grad_norm", spy)
    return seen


def _upstream_name(name: str) -> str:
    return name.replace("vision_tower.", "vision_tower.vision_tower.vision_model.", 1)


@pytest.mark.parametrize(
    ("split", "attention"),
    [("one batch", "eager"), ("accumulated", "eager"), ("one batch", "lean")],
)
def test_losses_gradients_and_trajectory_are_the_references(
    tmp_path: Path, gradients: list[dict[str, Any]], split: str, attention: str
) -> None:
    """The window of two samples is one batch, or two: the token mean is over the window."""
    wanted = expected("training.json")
    data = write_data(tmp_path / "d.json", ["t1_visible", "concat_single_string"])
    batch, steps = (2, 1) if split == "one batch" else (1, 2)
    run(
        data, tmp_path / "run", max_steps=4, max_grad_norm=0, attention=attention,
        per_device_train_batch_size=batch, gradient_accumulation_steps=steps,
    )  # fmt: skip
    losses = [entry["loss"] for entry in history(tmp_path / "run") if "loss" in entry]
    before_and_after = wanted["loss_before_and_after_each_of_3_steps"]
    assert losses[0] == pytest.approx(before_and_after[0], rel=1e-5)
    assert losses == pytest.approx(before_and_after, abs=1e-3)
    full = load_file(FIXTURE / "expected" / "grads_rgb.safetensors")
    compared = 0
    for name, value in gradients[0].items():
        norm = wanted["grad_norm_at_start"][_upstream_name(name)]
        if norm is None:
            assert value is None, name
            continue
        # Biases of keys have no gradient but rounding.
        assert float(value.norm()) == pytest.approx(norm, rel=1e-3, abs=1e-6), name
        if _upstream_name(name) in full:
            reference = full[_upstream_name(name)]
            assert float((value - reference).abs().max()) <= 1e-3 * float(reference.abs().max())
            compared += 1
    assert compared >= 4


def test_another_size_trains_as_the_plain_graph_does(
    tmp_path: Path, gradients: list[dict[str, Any]]
) -> None:
    """Loss and every gradient against the graph written out in plain torch (tests/roborefer)."""
    from helpers.plain_model import Plain
    from x3spatial.models.roborefer import load_processor
    from x3spatial.models.roborefer.tiny import Size, make_tiny
    from x3spatial.training.dataset import LazySupervisedSpatialDataset

    base = make_tiny(
        out=tmp_path / "base", size=Size((48, 3, 6, 64), 3, (24, 4, 3, 40), 98), depth=False
    )
    data = write_data(tmp_path / "d.json", ["t1_visible", "concat_single_string"])
    run(
        data, tmp_path / "run", model_name_or_path=base, max_steps=1, max_grad_norm=0,
        gradient_accumulation_steps=2,
    )  # fmt: skip
    plain = Plain(base)
    for tensors in plain.weights.values():
        for value in tensors.values():
            value.requires_grad_(True)
    processor = load_processor(base)
    image = processor.tokenizer.convert_tokens_to_ids("<image>")
    newline = processor.tokenize("\n")
    total, count = torch.zeros(()), 0
    dataset = LazySupervisedSpatialDataset(data, processor, image_folder=FIXTURE)
    for item in (dataset[number] for number in range(len(dataset))):
        pictures = iter(item["image"])
        rows, labels = [], []
        for token, label in zip(item["input_ids"].tolist(), item["labels"].tolist(), strict=True):
            piece = plain.embed([token])
            if token == image:
                seen = plain.projector("mm_projector", plain.tower("vision_tower", next(pictures)))
                piece = torch.cat([seen, plain.embed(newline)])
            rows.append(piece)
            labels += [label] if token != image else [-100] * len(piece)
        logits = plain.llm(torch.cat(rows))[:-1]
        wanted = torch.tensor(labels[1:])
        total = total + torch.nn.functional.cross_entropy(logits, wanted, reduction="sum")
        count += int((wanted >= 0).sum())
    loss = total / count
    loss.backward()
    (logged,) = [entry["loss"] for entry in history(tmp_path / "run") if "loss" in entry]
    assert logged == pytest.approx(float(loss.detach()), rel=1e-5)
    compared = 0
    for name, value in gradients[0].items():
        part, _, rest = name.partition(".")
        stored = f"vision_model.{rest}" if part == "vision_tower" else rest
        reference = plain.weights[part][stored].grad
        if value is None:
            assert reference is None, name
            continue
        assert reference is not None, name
        norm = float(reference.norm())
        assert float((value - reference).norm()) <= 1e-3 * norm + 1e-6, name
        compared += 1
    assert compared > 80


def test_four_batches_of_one_give_the_gradients_of_one_batch_of_four(
    tmp_path: Path, gradients: list[dict[str, Any]]
) -> None:
    data = write_data(tmp_path / "d.json", RGB)  # 15, 5, 15 and 5 learned tokens
    for batch, steps in ((4, 1), (1, 4), (2, 2)):
        run(
            data, tmp_path / f"run{batch}", max_steps=1, max_grad_norm=0,
            per_device_train_batch_size=batch, gradient_accumulation_steps=steps,
        )  # fmt: skip
    whole, single, double = gradients
    for name, value in whole.items():
        for other in (single[name], double[name]):
            if value is None:
                assert other is None
            else:
                scale = max(float(value.abs().max()), 1e-2)
                assert float((value - other).abs().max()) <= 1e-5 * scale, name


@pytest.mark.parametrize("frozen", [True, False])
def test_a_frozen_tower_stays_bit_identical(tmp_path: Path, frozen: bool) -> None:
    data = write_data(tmp_path / "d.json", RGB)
    run(data, tmp_path / "run", tune_vision_tower=not frozen, gradient_accumulation_steps=2)
    before, after = weights(CHECKPOINT), weights(tmp_path / "run")
    assert set(after) == {n for n in before if not n.startswith("depth")}
    changed = {name for name in after if not torch.equal(before[name], after[name])}
    tower = {name for name in after if name.startswith("vision_tower/")}
    from x3spatial.models.roborefer import load_model

    idle = {f"vision_tower/vision_model.{n.partition('.')[2]}"
            for n in load_model(CHECKPOINT).unused_parameters()}  # fmt: skip
    assert changed == (set(after) - tower if frozen else set(after) - idle)


def test_gradient_checkpointing_changes_nothing(
    tmp_path: Path, gradients: list[dict[str, Any]]
) -> None:
    data = write_data(tmp_path / "d.json", RGB)
    for checkpointing in (False, True):
        run(
            data, tmp_path / str(checkpointing), max_steps=1,
            gradient_checkpointing=checkpointing, tune_vision_tower=False,
        )  # fmt: skip
    for name, value in gradients[0].items():
        other = gradients[1][name]
        assert (value is None) == (other is None)
        if value is not None:
            assert torch.allclose(value, other, atol=1e-6), name


def test_depth_is_trained_and_kept(tmp_path: Path) -> None:
    data = write_data(tmp_path / "d.json", records("samples_rgbd.json").values())
    run(
        data, tmp_path / "run", enable_depth=True, tune_vision_tower=False,
        tune_mm_projector=False, tune_language_model=False, tune_depth_projector=True,
    )  # fmt: skip
    before, after = weights(CHECKPOINT), weights(tmp_path / "run")
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {name for name in before if name.startswith("depth_projector/")}


def test_every_part_has_its_own_rate(tmp_path: Path) -> None:
    from x3spatial.models.roborefer import load_model

    data = write_data(tmp_path / "d.json", RGB)
    rates = {"vision_tower_lr": 0, "mm_projector_lr": 1e-5, "language_model_lr": 1e-3}
    run(data, tmp_path / "run", max_steps=1, **rates)
    before, after = weights(CHECKPOINT), weights(tmp_path / "run")
    moved = {
        part: max(
            float((after[n] - before[n]).abs().max()) for n in after if n.startswith(f"{part}/")
        )
        for part in load_model(CHECKPOINT).parts()
        if not part.startswith("depth")
    }
    # The first step of AdamW moves a weight by its rate.
    assert moved["vision_tower"] == 0
    assert moved["mm_projector"] == pytest.approx(1e-5, rel=0.05)
    assert moved["llm"] == pytest.approx(1e-3, rel=0.05)


def test_what_a_run_writes(tmp_path: Path) -> None:
    from x3spatial.io.files import sha256_file
    from x3spatial.models.roborefer.checkpoint import read_checkpoint
    from x3spatial.models.roborefer.layout import fingerprint

    data = write_data(tmp_path / "d.json", RGB)
    (tmp_path / "build.json").write_text("{}")
    out = tmp_path / "run"
    run(data, out, max_steps=5, save_steps=1, save_total_limit=2)
    assert sorted(p.name for p in out.glob("checkpoint-*")) == ["checkpoint-4", "checkpoint-5"]
    assert not list(out.glob(".saving*")) and not list(out.glob(".deleting*"))
    for folder in (out, out / "checkpoint-5"):
        read_checkpoint(folder)
        note = json.loads((folder / "x3_training.json").read_text())
        assert note["step"] == 5
        assert note["data"][0]["sha256"] == sha256_file(data)
        assert note["data"][0]["build_sha256"] == sha256_file(tmp_path / "build.json")
        assert note["base"]["fingerprint"] == fingerprint(read_checkpoint(CHECKPOINT).layout)
    log = (out / "train.log").read_text()
    assert "gradient clipping: norm 1" in log and "step 5/5 loss=" in log
    assert (out / "loss.png").read_bytes().startswith(b"\x89PNG")


def test_a_trained_checkpoint_answers_in_x3_eval(tmp_path: Path) -> None:
    from x3spatial.evaluation.run import evaluate

    data = write_data(tmp_path / "d.json", ["t1_visible", "t1_not_visible"])
    run(data, tmp_path / "run")
    models = {"last": tmp_path / "run" / "checkpoint-3", "final": tmp_path / "run"}
    answers = {}
    for name, path in models.items():
        from x3spatial.models.roborefer.model import RoboReferModel

        result = evaluate(
            data_json=data, output_json=tmp_path / f"{name}.json", image_folder=FIXTURE,
            model=RoboReferModel(path, device="cpu", max_new_tokens=4),
        )  # fmt: skip
        assert result.errors == 0
        output = json.loads((tmp_path / f"{name}.json").read_text())
        answers[name] = [entry["pred_text"] for entry in output["results"]]
    assert answers["last"] == answers["final"]


def test_a_checkpoint_says_how_its_images_were_cut(tmp_path: Path) -> None:
    from x3spatial.models.roborefer.checkpoint import read_checkpoint

    data = write_data(tmp_path / "d.json", RGB)
    run(data, tmp_path / "run", image_aspect_ratio="pad", max_steps=1)
    for folder in (tmp_path / "run", tmp_path / "run" / "checkpoint-1"):
        assert read_checkpoint(folder).config.image_aspect_ratio == "pad"


def test_saved_weights_may_have_another_type(tmp_path: Path) -> None:
    data = write_data(tmp_path / "d.json", RGB)
    run(data, tmp_path / "run", save_dtype="bfloat16")
    final, last = weights(tmp_path / "run"), weights(tmp_path / "run" / "checkpoint-3")
    for name, value in last.items():
        assert value.dtype == torch.float32
        assert torch.equal(final[name], value.to(torch.bfloat16))


def test_a_mixture_of_registered_sets(tmp_path: Path) -> None:
    one = write_data(tmp_path / "one.json", ["t1_visible"])
    two = write_data(tmp_path / "two.json", ["text_only", "concat_single_string"])
    (tmp_path / "r.yaml").write_text(
        f"datasets: {{one: {one}, two: {{data_path: {two}, weight: 2}}}}"
    )
    run(
        "", tmp_path / "run", data_mixture="one*2+two", data_registry=tmp_path / "r.yaml",
        max_steps=-1, num_train_epochs=1, group_by_length=True, gradient_accumulation_steps=1,
    )  # fmt: skip
    note = json.loads((tmp_path / "run" / "x3_training.json").read_text())
    assert [(d["name"], d["weight"]) for d in note["data"]] == [("one", 2), ("two", 2)]
    assert note["step"] == 6


def test_bfloat16_trains_float32_weights(tmp_path: Path) -> None:
    data = write_data(tmp_path / "d.json", ["t1_visible", "concat_single_string"])
    run(data, tmp_path / "run", bf16=True, learning_rate=1e-6, per_device_train_batch_size=2)
    before, after = weights(CHECKPOINT), weights(tmp_path / "run")
    moved = float((after["llm/model.norm.weight"] - before["llm/model.norm.weight"]).abs().max())
    assert moved == pytest.approx(3e-6, rel=0.1)
    losses = [entry["loss"] for entry in history(tmp_path / "run") if "loss" in entry]
    assert losses[0] == pytest.approx(9.861230, rel=2e-2)


def test_tensorboard(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    data = write_data(tmp_path / "d.json", RGB)
    run(data, tmp_path / "run", report_to="tensorboard", max_steps=1)
    assert list((tmp_path / "run").rglob("events.out.tfevents*"))
